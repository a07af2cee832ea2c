"""What `render` and `check` look at, of infrastructure and of deployments alike: a block, and what is laid over it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from penstock.cli import assignments, output, references
from penstock.cli.block_answers import document_of
from penstock.cli.connection import Connection
from penstock.cli.errors import UsageProblem
from penstock.cli.infrastructure_options import type_meant
from penstock.cli.output import Column
from penstock.cli.session import current

if TYPE_CHECKING:
    from penstock.infrastructure.base import Job
    from penstock.infrastructure.effective import Effective, Layer
    from penstock.model.attempts import InfrastructureDocument

_ORIGINS = [Column("FIELD", "field"), Column("VALUE", "value"), Column("FROM", "from")]
_DIFFERENCES = [Column("FIELD", "field"), Column("THEN", "then"), Column("NOW", "now")]


@dataclass(frozen=True)
class Subject:
    """An infrastructure in the making. `block`: what its document is called; None: there is none but the defaults."""

    slug: str
    document: "InfrastructureDocument | None" = None
    block: str | None = None
    layers: "list[Layer]" = field(default_factory=list)
    flow_name: str = "flow-name"
    deployment_name: str | None = None

    def with_texts(self, texts: Iterable[str], flag: str) -> "Subject":
        """This one with KEY=VALUE options laid over it."""
        from penstock.infrastructure.effective import Layer, infrastructure_class, overridable
        from penstock.infrastructure.overrides import read_texts

        given = assignments.texts(texts, flag)
        if not given:
            return self
        overrides = read_texts(given, overridable(infrastructure_class(self.slug)))
        return replace(self, layers=[*self.layers, Layer(flag, overrides)])

    def effective(self) -> "Effective":
        """The infrastructure with all that is laid over it. Raises ConfigurationError."""
        from penstock.infrastructure.effective import effective

        return effective(self.slug, self.document, self.layers)

    def job(self, api_url: str | None) -> "Job":
        """A job that stands for those to come."""
        from penstock.infrastructure.previews import job_to_come

        return job_to_come(api_url, flow_name=self.flow_name, deployment_name=self.deployment_name)


def named(connection: Connection | None, reference: str) -> Subject:
    """The infrastructure TYPE/NAME or, without any connection, TYPE. Raises UsageProblem, NotFound."""
    from penstock.blocks.reading import claimed_document
    from penstock.client import block_documents
    from penstock.infrastructure.effective import infrastructure_class

    word, slash, name = reference.partition("/")
    slug = type_meant(word)
    infrastructure_class(slug)
    if not slash or connection is None:
        return Subject(slug)
    row = document_of(connection, f"{slug}/{name}")
    identifier = references.as_uuid(str(row["id"]))
    assert identifier is not None
    document = connection.send(block_documents.read_block_document(identifier, include_secrets=True))
    return Subject(slug, claimed_document(document), f"block {slug}/{name}")


def of_deployment(connection: Connection, row: Mapping[str, Any]) -> Subject:
    """The infrastructure of a deployment that the server has, with its overrides."""
    from penstock.blocks.reading import claimed_document
    from penstock.client import block_documents
    from penstock.infrastructure.effective import Layer
    from penstock.infrastructure.registry import DEFAULT

    name = f"{row['flow_name']}/{row['name']}"
    subject = Subject(DEFAULT, flow_name=str(row["flow_name"]), deployment_name=str(row["name"]))
    identifier = references.as_uuid(str(row.get("infrastructure_document_id") or ""))
    if identifier is not None:
        document = claimed_document(
            connection.send(block_documents.read_block_document(identifier, include_secrets=True))
        )
        block = f"block {document.slug}/{document.name}" if document.name else f"deployment {name}"
        subject = replace(subject, slug=document.slug, document=document, block=block)
    return replace(subject, layers=[Layer(f"infra_overrides of deployment {name}", row.get("infra_overrides") or {})])


def of_file(deployment: Any, path: str) -> Subject:
    """The infrastructure of a deployment that a file describes, with its overrides."""
    from penstock.infrastructure.effective import Layer
    from penstock.sdk import block_data

    block = deployment.infrastructure
    slug = block.get_block_type_slug()
    document = block_data.as_claimed(block)
    saved = block_data.is_saved(block)
    if saved:
        document = document.model_copy(update={"name": block._block_document_name})
    return Subject(
        slug,
        document,
        f"block {slug}/{block._block_document_name}" if saved else path,
        [Layer(f"infra_overrides of {path}", deployment.infra_overrides)],
        flow_name=str(deployment.flow_name),
        deployment_name=str(deployment.name),
    )


def emit_request(subject: Subject, api_url: str | None) -> None:
    """Print the exact request, as YAML unless another form was asked for."""
    from penstock.infrastructure import registry
    from penstock.infrastructure.previews import request_of

    session = current()
    request = request_of(subject.effective().infrastructure, subject.job(api_url))
    obstacle = registry.why_not_run(subject.slug)
    if obstacle is not None:
        session.warn(obstacle)
    if session.output in {None, "table", "wide"} and not session.fields:
        session.output = "yaml"
    columns = [Column(name, name) for name in request]
    output.emit_one(session, request, columns, lambda _: subject.slug)


def emit_origins(subject: Subject, api_url: str | None) -> None:
    """Print every effective value and where it came from."""
    from penstock.infrastructure.provenance import origins

    rows = [
        {"field": origin.path, "value": origin.value, "from": origin.source}
        for origin in origins(subject.effective(), subject.block, subject.job(api_url))
    ]
    output.emit(current(), rows, _ORIGINS, lambda row: str(row["field"]))


def emit_differences(connection: Connection, subject: Subject, run: str) -> None:
    """Print what has changed in the configuration since the last launch of a run."""
    from penstock.client import attempts
    from penstock.infrastructure.provenance import differences

    row = references.flow_run(connection, run)
    identifier = references.as_uuid(str(row["id"]))
    assert identifier is not None
    launched = [one for one in connection.send(attempts.read_attempts(identifier)) if one.configuration]
    if not launched:
        raise UsageProblem(
            f"The run {row['name']!r} was not launched, so that there is nothing to compare with.",
            hint="Name a run that an agent has started.",
        )
    last = launched[-1]
    kind = last.infrastructure_type or subject.slug
    if kind != subject.slug:
        current().warn(f"The run {row['name']!r} was launched on {kind}, and this is {subject.slug}.")
    found = differences(last.configuration or {}, subject.effective().infrastructure.snapshot())
    rows = [{"field": path, "then": then, "now": now} for path, then, now in found]
    current().say(f"Attempt {last.number} of {row['name']!r}: {len(rows)} differences.")
    output.emit(current(), rows, _DIFFERENCES, lambda item: str(item["field"]))
