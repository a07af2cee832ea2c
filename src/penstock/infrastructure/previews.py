"""What would be sent to a platform, before there is a run: one road for blocks in Python and for the command line."""

from penstock import settings
from penstock.infrastructure.base import Job
from penstock.infrastructure.block import Infrastructure
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.shown import shown
from penstock.model.base import JSONObject


def job_to_come(api_url: str | None = None, *, flow_name: str = "flow-name", deployment_name: str | None = None) -> Job:
    """A job that stands for those to come: with the settings that are in force here, and by default their API."""
    return sample_job(
        api_url or str(settings.get("PENSTOCK_API_URL") or "(the address of the local server)"),
        settings.for_jobs(),
        flow_name=flow_name,
        deployment_name=deployment_name,
    )


def request_of(infrastructure: Infrastructure, job: Job) -> JSONObject:
    """The exact request for `job` as it may be shown: secrets are masked.

    Raises Unsupported if the platform cannot do what is asked, ConfigurationError if nobody renders that type.
    """
    request: JSONObject = shown(render(infrastructure, job))
    return request


def text_of(infrastructure: Infrastructure, part: str | None = None) -> str:
    """The request of a job to come as YAML, or one member of it. Raises what `request_of` raises."""
    import yaml

    request = request_of(infrastructure, job_to_come())
    text: str = yaml.safe_dump(
        request if part is None else request[part], sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text
