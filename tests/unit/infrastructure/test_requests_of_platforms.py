"""What is rendered for each platform: every field of a block is seen in the request, secrets in nothing that is shown."""

import json
from typing import Any

import pytest
from kubernetes_objects import KUBECONFIG
from kubernetes_schema import check_object
from pydantic import SecretStr, ValidationError

from penstock.blocks.credentials import (
    AwsCredentials,
    AzureContainerInstanceCredentials,
    DockerRegistry,
    GcpCredentials,
    KubernetesClusterConfig,
)
from penstock.errors import Unsupported
from penstock.infrastructure import (
    AzureContainerInstanceJob,
    CloudRunJob,
    DockerContainer,
    ECSTask,
    Infrastructure,
    KubernetesJob,
    Process,
)
from penstock.infrastructure.docker.host import Host
from penstock.infrastructure.docker.render import render as render_docker
from penstock.infrastructure.registry import known_types, render
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.shown import shown

GUID = "00000000-0000-0000-0000-000000000000"
ABOVE = f"/subscriptions/{GUID}/resourceGroups/g/providers"
SUBNET = f"{ABOVE}/Microsoft.Network/virtualNetworks/n/subnets/s"
IDENTITY = f"{ABOVE}/Microsoft.ManagedIdentity/userAssignedIdentities/i"
ROLE = "arn:aws:iam::123456789012:role/r"
API = "http://127.0.0.1:4200/api"
JOB = sample_job(API, {"PENSTOCK_LOGGING_LEVEL": "DEBUG"})

NEEDED: dict[type[Infrastructure], dict[str, Any]] = {
    Process: {},
    DockerContainer: {"image": "flows:1"},
    KubernetesJob: {"image": "flows:1"},
    ECSTask: {"image": "flows:1"},
    CloudRunJob: {"image": "gcr.io/p/flows:1", "region": "europe-west1"},
    AzureContainerInstanceJob: {"resource_group_name": "g", "subscription_id": GUID, "image": "flows:1"},
}
OF_THE_AGENT = "the server and the agent heed it"
NO_PART: dict[str, str] = {
    "type": "it chose this request",
    "start_timeout": OF_THE_AGENT,
    "cancel_timeout": OF_THE_AGENT,
    "run_timeout": OF_THE_AGENT,
    "stream_output": OF_THE_AGENT,
}
NO_PART_OF: dict[type[Infrastructure], dict[str, str]] = {
    Process: {"grace_seconds": OF_THE_AGENT},
    CloudRunJob: {"grace_seconds": "Cloud Run has a fixed grace of its own"},
    ECSTask: {"task_start_timeout_seconds": OF_THE_AGENT},
    AzureContainerInstanceJob: {"task_start_timeout_seconds": OF_THE_AGENT},
    KubernetesJob: {"pod_watch_timeout_seconds": OF_THE_AGENT},
}
#: fields that go together and so are changed from something else than nothing
FROM: dict[str, dict[str, Any]] = {
    "memory": {"memory": 1, "memory_unit": "Gi"},
    "memory_unit": {"memory": 2, "memory_unit": "Gi"},
    "gpu_count": {"gpu_count": 2, "gpu_sku": "V100"},
    "gpu_sku": {"gpu_count": 1, "gpu_sku": "V100"},
}
#: field -> what it is changed to, and other fields that go with it
COMMON: dict[str, dict[str, Any]] = {
    "env": {"env": {"LEVEL": "7"}},
    "labels": {"labels": {"team": "data"}},
    "name": {"name": "nightly"},
    "command": {"command": ["python", "-c", "pass"]},
    "grace_seconds": {"grace_seconds": 7},
}
CHANGES: dict[type[Infrastructure], dict[str, dict[str, Any]]] = {
    Process: {"working_dir": {"working_dir": "/srv"}},
    DockerContainer: {
        "image": {"image": "flows:2"},
        "image_pull_policy": {"image_pull_policy": "NEVER"},
        "image_registry": {
            "image_registry": DockerRegistry(username="u", password=SecretStr("hunter2"), registry_url="r.example.com")
        },
        "networks": {"networks": ["one", "two"]},
        "network_mode": {"network_mode": "bridge"},
        "auto_remove": {"auto_remove": True},
        "volumes": {"volumes": ["/a:/b:ro"]},
        "mem_limit": {"mem_limit": "1g"},
        "memswap_limit": {"mem_limit": "1g", "memswap_limit": "2g"},
        "privileged": {"privileged": True},
        "cpus": {"cpus": 1.5},
        "gpus": {"gpus": "all"},
        "shm_size": {"shm_size": "128m"},
        "user": {"user": "1000:1000"},
        "mounts": {"mounts": ["type=bind,source=/a,target=/b"]},
        "tmpfs": {"tmpfs": ["/scratch:size=64m"]},
        "ulimits": {"ulimits": {"nofile": 1024}},
        "ports": {"ports": ["8080:80"]},
        "extra_hosts": {"extra_hosts": {"db": "10.0.0.5"}},
        "dns": {"dns": ["10.0.0.1"]},
        "platform": {"platform": "linux/arm64"},
        "entrypoint": {"entrypoint": []},
        "working_dir": {"working_dir": "/srv"},
        "cap_add": {"cap_add": ["SYS_PTRACE"]},
        "cap_drop": {"cap_drop": ["ALL"]},
        "read_only": {"read_only": True},
        "init": {"init": True},
        "runtime": {"runtime": "nvidia"},
        "pids_limit": {"pids_limit": 100},
        "devices": {"devices": ["/dev/fuse"]},
        "host_config": {"host_config": {"OomScoreAdj": 500}},
        "config": {"config": {"Hostname": "worker"}},
    },
    KubernetesJob: {
        "image": {"image": "flows:2"},
        "namespace": {"namespace": "dev"},
        "service_account_name": {"service_account_name": "runner"},
        "image_pull_policy": {"image_pull_policy": "Always"},
        "cluster_config": {
            "cluster_config": KubernetesClusterConfig(
                context_name="c",
                config=KUBECONFIG,  # type: ignore[arg-type]
            )
        },
        "job": {"job": {**KubernetesJob.base_job_manifest(), "metadata": {"annotations": {"a": "b"}}}},
        "customizations": {"customizations": [{"op": "add", "path": "/spec/suspend", "value": True}]},
        "job_watch_timeout_seconds": {"job_watch_timeout_seconds": 60},
        "finished_job_ttl": {"finished_job_ttl": 300},
        "resources": {"resources": {"limits": {"memory": "2Gi"}}},
        "image_pull_secrets": {"image_pull_secrets": ["login"]},
        "node_selector": {"node_selector": {"disk": "fast"}},
        "tolerations": {"tolerations": [{"operator": "Exists"}]},
        "affinity": {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}},
        "volumes": {"volumes": [{"name": "data", "emptyDir": {}}]},
        "volume_mounts": {
            "volumes": [{"name": "data", "emptyDir": {}}],
            "volume_mounts": [{"name": "data", "mountPath": "/data"}],
        },
        "env_from_secrets": {"env_from_secrets": ["warehouse"]},
        "env_from_config_maps": {"env_from_config_maps": ["levels"]},
        "env_secret_keys": {"env_secret_keys": {"DB_PASSWORD": "warehouse/password"}},
        "env_config_map_keys": {"env_config_map_keys": {"DEPTH": "levels/depth"}},
        "annotations": {"annotations": {"example.org/team": "data"}},
        "priority_class_name": {"priority_class_name": "high"},
        "security_context": {"security_context": {"runAsUser": 1000}},
        "pod_security_context": {"pod_security_context": {"fsGroup": 1000}},
        "run_timeout": {"run_timeout": 60},
    },
    ECSTask: {
        "aws_credentials": {"aws_credentials": AwsCredentials(region_name="eu-central-1")},
        "task_definition_arn": {"task_definition_arn": "family:3", "image": None},
        "task_definition": {"task_definition": {"containerDefinitions": [{"name": "mine", "user": "me"}]}},
        "family": {"family": "flows"},
        "image": {"image": "flows:2"},
        "auto_deregister_task_definition": {"auto_deregister_task_definition": False},
        "cpu": {"cpu": 2048},
        "memory": {"memory": 4096},
        "execution_role_arn": {"execution_role_arn": ROLE},
        "configure_cloudwatch_logs": {"configure_cloudwatch_logs": True, "execution_role_arn": ROLE},
        "cloudwatch_logs_options": {
            "cloudwatch_logs_options": {"mode": "non-blocking"},
            "configure_cloudwatch_logs": True,
            "execution_role_arn": ROLE,
        },
        "launch_type": {"launch_type": "EC2"},
        "vpc_id": {"vpc_id": "vpc-01234567"},
        "cluster": {"cluster": "flows"},
        "task_role_arn": {"task_role_arn": ROLE},
        "task_customizations": {"task_customizations": [{"op": "add", "path": "/group", "value": "g"}]},
        "task_watch_poll_interval": {"task_watch_poll_interval": 9.0},
    },
    CloudRunJob: {
        "image": {"image": "gcr.io/p/flows:2"},
        "region": {"region": "europe-west4"},
        "credentials": {"credentials": GcpCredentials(project="mine")},
        "cpu": {"cpu": 2},
        "memory": {"memory": 2, "memory_unit": "Gi"},
        "memory_unit": {"memory": 2, "memory_unit": "G"},
        "vpc_connector_name": {"vpc_connector_name": "inside"},
        "args": {"args": ["--fast"]},
        "keep_job": {"keep_job": True},
        "timeout": {"timeout": 900},
        "run_timeout": {"run_timeout": 60},
    },
    AzureContainerInstanceJob: {
        "aci_credentials": {
            "aci_credentials": AzureContainerInstanceCredentials(
                client_id="c", tenant_id="t", client_secret=SecretStr("hunter2")
            )
        },
        "resource_group_name": {"resource_group_name": "other"},
        "subscription_id": {"subscription_id": GUID.replace("0", "1")},
        "identities": {"identities": [IDENTITY]},
        "image": {"image": "flows:2"},
        "entrypoint": {"entrypoint": None},
        "image_registry": {"image_registry": {"registry_url": "r.azurecr.io", "identity": IDENTITY}},
        "cpu": {"cpu": 2.0},
        "gpu_count": {"gpu_count": 1, "gpu_sku": "V100"},
        "gpu_sku": {"gpu_count": 1, "gpu_sku": "K80"},
        "memory": {"memory": 2.0},
        "subnet_ids": {"subnet_ids": [SUBNET]},
        "dns_servers": {"dns_servers": ["10.0.0.1"], "subnet_ids": [SUBNET]},
        "task_watch_poll_interval": {"task_watch_poll_interval": 9.0},
    },
}
CASES = [(kind, field) for kind in NEEDED for field in kind.model_fields]


def _made(kind: type[Infrastructure], **fields: Any) -> Infrastructure:
    return kind(**{**NEEDED[kind], **fields})


def test_every_type_that_there_is_can_be_rendered() -> None:
    assert {kind.get_block_type_slug() for kind in NEEDED} >= {*known_types()}


@pytest.mark.parametrize(("kind", "field"), CASES, ids=[f"{kind.__name__}.{field}" for kind, field in CASES])
def test_every_field_changes_the_request_or_says_why_it_is_no_part_of_it(
    kind: type[Infrastructure], field: str
) -> None:
    changes = {**COMMON, **CHANGES[kind]}
    reason = NO_PART_OF.get(kind, {}).get(field) or NO_PART.get(field)
    if field not in CHANGES[kind] and reason is not None:
        return
    change = changes[field]
    others = {name: value for name, value in change.items() if name != field}
    others = FROM[field] if FROM.get(field, {}).keys() == change.keys() else others
    before, after = render(_made(kind, **others), JOB), render(_made(kind, **change), JOB)
    assert before != after


@pytest.mark.parametrize("kind", NEEDED)
def test_what_is_shown_of_a_request_is_json_without_secrets_and_has_the_run_in_it(kind: type[Infrastructure]) -> None:
    for change in ({"env": {"DB_PASSWORD": "hunter2", "URL": "https://u:hunter2@x"}}, *CHANGES[kind].values()):
        text = json.dumps(shown(render(_made(kind, **change), JOB)))
        assert "hunter2" not in text
        assert JOB.name in text
        assert "PENSTOCK__ATTEMPT_TOKEN" in text


@pytest.mark.parametrize("kind", NEEDED)
def test_rendering_changes_neither_the_block_nor_the_job(kind: type[Infrastructure]) -> None:
    for change in CHANGES[kind].values():
        block = _made(kind, **change)
        before = block.model_copy(deep=True)
        assert render(block, JOB) == render(block, JOB)
        assert block == before


def test_a_container_reaches_an_api_on_this_machine_by_the_hosts_network_or_name() -> None:
    def asked(linux: bool = True, **fields: Any) -> tuple[Any, str, bool]:
        host = Host(shares_network=linux)
        found = render_docker(DockerContainer(**NEEDED[DockerContainer], **fields), JOB, host)
        made = found["host_config"]
        return made["network_mode"], found["create"]["environment"]["PENSTOCK_API_URL"], bool(made["extra_hosts"])

    by_name = API.replace("127.0.0.1", "host.docker.internal")
    assert asked() == ("host", API, False)
    assert asked(linux=False) == (None, by_name, True)
    assert asked(networks=["a"]) == ("a", by_name, True)
    assert asked(network_mode="bridge") == ("bridge", by_name, True)
    assert asked(env={"PENSTOCK_API_URL": "http://127.0.0.1:1/api"})[1] == "http://127.0.0.1:1/api"
    elsewhere = render_docker(DockerContainer(image="flows:1"), sample_job("https://api.example.com/api", {}), Host())
    assert elsewhere["host_config"]["network_mode"] is None
    assert elsewhere["host_config"]["extra_hosts"] == {}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("flows", "ALWAYS"),
        ("flows:latest", "ALWAYS"),
        ("localhost:5000/flows", "ALWAYS"),
        ("flows:1", "IF_NOT_PRESENT"),
        (f"flows@sha256:{'0' * 64}", "IF_NOT_PRESENT"),
    ],
)
def test_an_image_whose_tag_moves_is_always_fetched(image: str, policy: str) -> None:
    assert render(DockerContainer(image=image), JOB)["pull"] == {"image": image, "policy": policy}


def test_a_container_is_never_removed_by_the_engine_which_would_take_its_exit_code_along() -> None:
    found = render(DockerContainer(image="flows:1", auto_remove=True), JOB)
    assert (found["host_config"]["auto_remove"], found["remove"]) == (False, True)


def test_a_kubernetes_job_is_started_once_under_the_attempts_name_with_its_token_in_a_secret() -> None:
    block = KubernetesJob(image="flows:1", env={"A": "1", "B": None}, labels={"Team Name": "x y"}, command=["do", "it"])
    block.job["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "A", "value": "of the manifest"},
        {"name": "B", "value": "of the manifest"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    found = render(block, JOB)
    job, pod = found["job"], found["job"]["spec"]["template"]["spec"]
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == (JOB.name, "default")
    assert job["metadata"]["labels"]["team-name"] == "x-y"
    assert job["spec"]["template"]["metadata"]["labels"] == job["metadata"]["labels"]
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    container = pod["containers"][0]
    assert (container["args"], "command" in container) == (["do", "it"], False)
    env = {item["name"]: item for item in container["env"]}
    assert len(env) == len(container["env"])
    assert env["A"]["value"] == "1"
    assert "B" not in env
    assert env["C"]["valueFrom"]["fieldRef"]
    assert "PENSTOCK__ATTEMPT_TOKEN" not in env
    assert env["PENSTOCK__ATTEMPT_TOKEN_FILE"]["value"] == "/run/penstock/token"
    (mount,) = container["volumeMounts"]
    (volume,) = pod["volumes"]
    assert (mount["name"], mount["mountPath"]) == (volume["name"], "/run/penstock")
    assert (volume["secret"]["secretName"], volume["secret"]["items"]) == (
        found["secret"]["metadata"]["name"],
        [{"key": "token", "path": "token"}],
    )
    assert [*found["secret"]["stringData"]] == ["token"]
    assert found["secret"]["metadata"]["name"] == JOB.name


def test_with_every_field_set_at_once_the_objects_are_those_that_kubernetes_knows() -> None:
    every = {name: value for change in {**COMMON, **CHANGES[KubernetesJob]}.values() for name, value in change.items()}
    found = shown(render(_made(KubernetesJob, **every), JOB))
    check_object(found["job"])
    check_object(found["secret"])


def test_customizations_come_last_and_cannot_take_away_what_a_job_is_found_by() -> None:
    path = "/spec/template/spec/containers/0"
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": f"{path}/resources", "value": {"limits": {"cpu": "1"}}},
        {"op": "replace", "path": f"{path}/args", "value": ["other"]},
    ]
    container = render(KubernetesJob(image="flows:1", customizations=patch), JOB)["job"]["spec"]["template"]["spec"]
    assert (container["containers"][0]["args"], container["containers"][0]["resources"]["limits"]["cpu"]) == (
        ["other"],
        "1",
    )
    for operation in (
        {"op": "replace", "path": "/metadata/name", "value": "mine"},
        {"op": "replace", "path": "/metadata/labels", "value": {}},
        {"op": "replace", "path": "/metadata/namespace", "value": "other"},
    ):
        with pytest.raises(ValidationError, match=r"customizations\[0\].*found again"):
            KubernetesJob(image="flows:1", customizations=[operation])
    unset = {"op": "replace", "path": "/spec/ttlSecondsAfterFinished", "value": 1}
    with pytest.raises(Unsupported, match=r"customizations\[0\].*'ttlSecondsAfterFinished'"):
        render(KubernetesJob(image="flows:1", customizations=[unset]), JOB)


def test_an_ecs_task_of_fargate_has_a_size_that_there_is_and_a_token_that_makes_it_once() -> None:
    found = render(ECSTask(image="flows:1", memory=8192), JOB)
    assert (found["register"]["cpu"], found["register"]["memory"]) == ("1024", "8192")
    assert found["register"]["requiresCompatibilities"] == ["FARGATE"]
    assert found["run"]["clientToken"] == str(JOB.attempt_id)
    override = found["run"]["overrides"]["containerOverrides"][0]
    assert override["name"] == found["register"]["containerDefinitions"][0]["name"] == "penstock"
    assert override["command"] == ["python", "-m", "penstock.engine"]
    spot = render(ECSTask(image="flows:1", launch_type="FARGATE_SPOT"), JOB)["run"]
    assert "launchType" not in spot
    assert spot["capacityProviderStrategy"][0]["capacityProvider"] == "FARGATE_SPOT"


@pytest.mark.parametrize("field", CHANGES[ECSTask])
def test_amazons_own_library_takes_the_requests_of_an_ecs_task(field: str) -> None:
    from botocore.session import Session
    from botocore.validate import ParamValidator

    model = Session().get_service_model("ecs")
    found = shown(render(_made(ECSTask, **CHANGES[ECSTask][field]), JOB))
    for operation, request in (("RegisterTaskDefinition", found["register"]), ("RunTask", found["run"])):
        if request is not None:
            report = ParamValidator().validate(request, model.operation_model(operation).input_shape)
            assert not report.has_errors(), report.generate_report()


def test_the_run_goes_into_the_container_of_a_definition_that_is_meant_and_leaves_the_others_alone() -> None:
    sidecar = {"name": "proxy", "image": "proxy:1"}
    given = {"containerDefinitions": [sidecar, {"name": "prefect", "image": "old:1", "user": "me"}], "cpu": "512"}
    found = render(ECSTask(task_definition=given, image="flows:2", memory=1024), JOB)
    assert found["register"]["containerDefinitions"][0] == sidecar
    assert found["register"]["containerDefinitions"][1]["image"] == "flows:2"
    assert found["register"]["cpu"] == "512"
    assert found["run"]["overrides"]["containerOverrides"][0]["name"] == "prefect"


def test_platforms_start_nothing_again_on_their_own() -> None:
    cloud_run = render(_made(CloudRunJob), JOB)["create"]["job"]["template"]
    assert (cloud_run["template"]["maxRetries"], cloud_run["taskCount"]) == (0, 1)
    group = render(_made(AzureContainerInstanceJob), JOB)["create"]["containerGroup"]["properties"]
    assert group["restartPolicy"] == "Never"


def test_a_job_of_cloud_run_without_a_limit_has_the_longest_there_is_not_googles_ten_minutes() -> None:
    template = render(_made(CloudRunJob, timeout=None), JOB)["create"]["job"]["template"]["template"]
    assert template["timeout"] == "604800s"


def test_a_container_group_starts_the_entry_point_with_the_command_behind_it() -> None:
    def command(**fields: Any) -> Any:
        group = render(_made(AzureContainerInstanceJob, **fields), JOB)["create"]["containerGroup"]
        return group["properties"]["containers"][0]["properties"]["command"]

    assert command() == ["/opt/penstock/entrypoint.sh", "python", "-m", "penstock.engine"]
    assert command(entrypoint=None, command=["a"]) == ["a"]


def test_what_refers_to_the_agents_machine_is_shown_as_it_was_written() -> None:
    block = DockerContainer(
        image="${env:IMAGE}", volumes=["${env:DATA}:/data", "/a:/b"], mem_limit="${env:MEMORY}", env={"A": "${env:B}"}
    )
    found = render(block, JOB)
    assert found["create"]["image"] == "${env:IMAGE}"
    assert found["create"]["environment"]["A"] == "${env:B}"
    assert found["host_config"]["binds"] == ["${env:DATA}:/data", "/a:/b"]
    assert found["host_config"]["mem_limit"] == "${env:MEMORY}"
