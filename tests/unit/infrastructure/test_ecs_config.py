"""ECSTask: what it takes and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.infrastructure import ECSTask
from penstock.infrastructure.ecs import sizes
from penstock.infrastructure.images import default_image

ROLE = "arn:aws:iam::123456789012:role/service/flows"
CONTAINERS = [{"name": "sidecar", "image": "side:1"}, {"name": "prefect", "image": "flows:1"}]


def test_nothing_has_to_be_said():
    block = ECSTask()
    assert (block.image, block.launch_type, block.cpu, block.memory) == (default_image(), "FARGATE", None, None)
    assert block.aws_credentials.aws_access_key_id is None
    assert block.auto_deregister_task_definition


def test_the_fields_users_of_prefect_2_know_have_their_order():
    own = ("start_timeout", "run_timeout", "cancel_timeout", "grace_seconds")
    assert [name for name in ECSTask.model_fields if name not in own] == [
        "type", "env", "labels", "name", "command", "aws_credentials", "task_definition_arn", "task_definition",
        "family", "image", "auto_deregister_task_definition", "cpu", "memory", "execution_role_arn",
        "configure_cloudwatch_logs", "cloudwatch_logs_options", "stream_output", "launch_type", "vpc_id", "cluster",
        "task_role_arn", "task_customizations", "task_start_timeout_seconds", "task_watch_poll_interval",
    ]  # fmt: skip


def test_the_image_is_the_definitions_where_there_is_one():
    assert ECSTask(task_definition={"containerDefinitions": CONTAINERS}).image == "flows:1"
    assert ECSTask(task_definition={"containerDefinitions": CONTAINERS[:1]}).image == "side:1"
    assert ECSTask(task_definition={"containerDefinitions": CONTAINERS}, image="mine:1").image == "mine:1"
    assert ECSTask(task_definition_arn="flows:3").image is None


def test_a_definition_may_be_text():
    text = "family: flows\ncontainerDefinitions:\n- {name: penstock, image: 'flows:1'}\n"
    assert ECSTask(task_definition=text).image == "flows:1"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"cpu": 256, "memory": 8192},
            "with cpu 256 Fargate gives 512, 1024 or 2048 MiB. 8192 MiB go with cpu 1024, 2048",
        ),
        ({"cpu": 300}, "the nearest is 256"),
        ({"cpu": 4096, "memory": 8193}, "8192 to 30720 in steps of 1024"),
        ({"cpu": 8192, "memory": 17408}, "16384 to 61440 in steps of 4096"),
        ({"memory": 3000}, "memory is 3000"),
        ({"cpu": 0}, "greater than 0"),
        ({"task_definition": {"cpu": ".25 vCPU"}, "memory": 4096}, "with cpu 256"),
        ({"task_definition": {"memory": "8 GB"}, "cpu": 512}, "memory is 8192; with cpu 512"),
        ({"task_definition_arn": "flows:3", "cpu": 256, "memory": 8192}, "with cpu 256"),
        ({"launch_type": "fargat"}, "Did you mean 'FARGATE'"),
        ({"task_definition": {}, "task_definition_arn": "flows:3"}, "two task definitions"),
        ({"task_definition": {"containerDefinition": []}}, "Did you mean 'containerDefinitions'"),
        ({"task_definition": {"containerDefinitions": {}}}, "a list of mappings"),
        ({"task_definition": {"containerDefinitions": [{"image": "x"}]}}, "needs a name"),
        ({"task_definition": [1]}, "not list"),
        ({"task_definition": "{"}, "neither JSON nor YAML"),
        ({"stream_output": True}, "stream_output needs execution_role_arn"),
        ({"configure_cloudwatch_logs": True}, "configure_cloudwatch_logs needs execution_role_arn"),
        ({"cloudwatch_logs_options": {"awslogs-group": "x"}}, "only with configure_cloudwatch_logs"),
        ({"execution_role_arn": "arn:aws:iam::12:role/x"}, "execution_role_arn is"),
        ({"task_role_arn": "a role"}, "the role's name"),
        ({"cluster": "a b"}, "cluster is 'a b'"),
        ({"family": "a/b"}, "family is 'a/b'"),
        ({"vpc_id": "vpc-xyz"}, "vpc_id is"),
        ({"task_definition_arn": "arn:aws:ecs:x"}, "family:revision"),
        ({"task_customizations": [{"op": "add", "path": "/networkconfig/x", "value": 1}]}, "'networkConfiguration'"),
        ({"task_customizations": [{"op": "ad", "path": "/tags", "value": 1}]}, "Did you mean 'add'"),
        ({"task_watch_poll_interval": 0}, "greater than 0"),
        ({"aws_credentials": {"aws_access_key_id": "a"}}, "aws_secret_access_key is missing"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(fields: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        ECSTask(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"cpu": 256, "memory": 512},
        {"cpu": 4096},
        {"memory": 512},
        {"cpu": 32768, "memory": 250000},
        {"cpu": 300, "memory": 300, "launch_type": "EC2"},
        {"cpu": 300, "memory": 300, "launch_type": None},
        {"cpu": 512, "task_definition_arn": "flows"},
        {"execution_role_arn": ROLE, "stream_output": True},
        {"task_definition": {"executionRoleArn": ROLE}, "configure_cloudwatch_logs": True},
        {"task_definition_arn": "flows:3", "stream_output": True},
        {"cluster": "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/flows", "vpc_id": "vpc-0123456789abcdef0"},
        {"cluster": "${env:CLUSTER}", "execution_role_arn": "${env:ROLE}"},
        {"task_definition": {"somethingAwsMadeSince": 1}},
        {"task_customizations": [{"op": "add", "path": "/capacityProviderStrategy", "value": []}]},
    ],
)
def test_what_can_be_is_kept_as_it_was_written(fields: dict[str, Any]):
    block = ECSTask(**fields)
    assert {name: getattr(block, name) for name in fields} == fields
    assert ECSTask.model_validate(block.to_document_data()) == block


def test_output_that_is_streamed_goes_to_cloudwatch_logs():
    assert ECSTask(stream_output=True, execution_role_arn=ROLE).configure_cloudwatch_logs is True
    assert ECSTask(stream_output=False).configure_cloudwatch_logs is None


@pytest.mark.parametrize(
    ("cpu", "memory", "size"),
    [
        (None, None, (1024, 2048)),
        (256, None, (256, 2048)),
        (4096, None, (4096, 8192)),
        (None, 512, (256, 512)),
        (None, 4096, (1024, 4096)),
        (None, 122880, (16384, 122880)),
    ],
)
def test_the_half_of_a_size_that_is_not_said_fits_the_other(cpu: int | None, memory: int | None, size: tuple[int, int]):
    assert sizes.fargate_size(cpu, memory) == size


@pytest.mark.parametrize(
    ("value", "found"),
    [(256, 256), ("256", 256), ("1 vCPU", 1024), (".5 vcpu", 512), ("4GB", 4096), ("much", None), (None, None)],
)
def test_amounts_of_a_definition_are_read_as_aws_writes_them(value: Any, found: int | None):
    assert sizes.amount(value) == found


def test_the_secret_key_is_not_shown():
    block = ECSTask(aws_credentials={"aws_access_key_id": "a", "aws_secret_access_key": "hunter2"})  # type: ignore[arg-type]
    assert "hunter2" not in str(block.snapshot())


def test_the_start_timeout_of_prefect_2_is_the_start_limit_where_ours_is_not_set():
    assert ECSTask().limits().start == 600
    assert ECSTask(task_start_timeout_seconds=300).limits().start == 300
    assert ECSTask(task_start_timeout_seconds=300, start_timeout=900).limits().start == 900
