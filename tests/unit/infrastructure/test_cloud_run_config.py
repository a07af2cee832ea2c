"""CloudRunJob: what it takes and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.infrastructure import CloudRunJob

NEEDED = {"image": "europe-docker.pkg.dev/project/flows/flows:1", "region": "europe-west1"}


def test_image_and_region_have_to_be_said():
    with pytest.raises(ValidationError) as caught:
        CloudRunJob()  # type: ignore[call-arg]
    assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [
        (("image",), "missing"),
        (("region",), "missing"),
    ]
    block = CloudRunJob(**NEEDED)
    assert (block.timeout, block.keep_job, block.memory_string, block.credentials.project) == (600, False, None, None)


def test_the_fields_users_of_prefect_2_know_have_their_order():
    own = ("start_timeout", "run_timeout", "cancel_timeout", "grace_seconds")
    assert [name for name in CloudRunJob.model_fields if name not in own] == [
        "type", "env", "labels", "name", "command", "image", "region", "credentials", "cpu", "memory", "memory_unit",
        "vpc_connector_name", "args", "keep_job", "timeout",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"region": "us-east1-b"}, "a zone; its region is 'us-east1'"),
        ({"region": "Europe"}, "europe-west1"),
        ({"image": "Flows"}, "names no image"),
        ({"cpu": 3}, "1, 2, 4, 6, 8 CPUs. The nearest is 4"),
        ({"cpu": 0}, "greater than 0"),
        ({"memory": 8}, "memory_unit is missing"),
        ({"memory_unit": "Gi"}, "memory is missing"),
        ({"memory": 8, "memory_unit": "GB"}, "Did you mean 'G'"),
        ({"memory": 256, "memory_unit": "Mi"}, "less than 512 Mi"),
        ({"memory": 8, "memory_unit": "Gi"}, "more than 4096 Mi of memory need 2 CPUs"),
        ({"memory": 32, "memory_unit": "Gi", "cpu": 6}, "need 8 CPUs"),
        ({"memory": 1, "memory_unit": "Gi", "cpu": 4}, "4 CPUs need 2048 Mi"),
        ({"timeout": 0}, "greater than 0"),
        ({"vpc_connector_name": "Not One"}, "connector's name"),
        ({"args": 7}, "args"),
        ({"keepjob": True}, "Did you mean 'keep_job'"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(fields: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        CloudRunJob(**{**NEEDED, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"memory": 512, "memory_unit": "Mi"},
        {"memory": 4, "memory_unit": "Gi", "cpu": 8},
        {"memory": 64, "memory_unit": "Gi", "cpu": 16},
        {"vpc_connector_name": "projects/p/locations/europe-west1/connectors/c"},
        {"vpc_connector_name": "c-1", "timeout": None, "keep_job": None},
        {"region": "${env:REGION}", "image": "${env:IMAGE}"},
        {"region": "northamerica-northeast2", "timeout": 86400},
    ],
)
def test_what_can_be_is_kept_as_it_was_written(fields: dict[str, Any]):
    block = CloudRunJob(**{**NEEDED, **fields})
    assert {name: getattr(block, name) for name in fields} == fields
    assert CloudRunJob.model_validate(block.to_document_data()) == block


def test_memory_may_be_written_as_google_does():
    block = CloudRunJob(**NEEDED, memory="2Gi")  # type: ignore[arg-type]
    assert (block.memory, block.memory_unit, block.memory_string) == (2, "Gi", "2Gi")


def test_a_timeout_beyond_what_google_is_known_to_allow_is_a_warning_and_googles_to_judge():
    with pytest.warns(UserWarning, match="7 days"):
        assert CloudRunJob(**NEEDED, timeout=700_000).timeout == 700_000  # type: ignore[arg-type]


def test_args_may_be_a_line_or_a_list():
    for args in ("a 'b c'", '["a", "b c"]', ["a", "b c"]):
        assert CloudRunJob(**NEEDED, args=args).args == ["a", "b c"]  # type: ignore[arg-type]


def test_the_service_accounts_key_is_not_shown():
    info = {"client_email": "e", "private_key": "hunter2", "token_uri": "t", "project_id": "p"}
    block = CloudRunJob(**NEEDED, credentials={"service_account_info": info})  # type: ignore[arg-type]
    assert block.credentials.project == "p"
    assert "hunter2" not in str(block.snapshot())


def test_the_timeout_is_the_run_limit_where_that_is_not_set():
    assert CloudRunJob(**NEEDED).limits().run == 600
    assert CloudRunJob(**NEEDED, timeout=None).limits().run is None  # type: ignore[arg-type]
    assert CloudRunJob(**NEEDED, run_timeout=5).limits().run == 5  # type: ignore[arg-type]
