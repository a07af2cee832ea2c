"""DockerContainer: what it takes and what it refuses."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from penstock.blocks.credentials import DockerRegistry
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError
from penstock.infrastructure import DockerContainer, ImagePullPolicy
from penstock.infrastructure.docker.render import render
from penstock.infrastructure.docker.volumes import Volume, bytes_of, read_volume
from penstock.infrastructure.images import default_image
from penstock.infrastructure.registry import infrastructure_from
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.shown import shown
from penstock.model.attempts import InfrastructureDocument
from penstock.model.base import JSONObject


def test_nothing_has_to_be_said():
    block = DockerContainer()
    assert block.image == default_image()
    assert (block.type, block.get_block_type_slug()) == ("docker-container", "docker-container")
    assert (block.networks, block.volumes, block.auto_remove, block.stream_output) == ([], [], False, True)


def test_the_fields_users_of_prefect_2_know_have_their_order():
    names = [name for name in DockerContainer.model_fields if not name.endswith(("_timeout", "_seconds"))]
    assert names[:16] == [
        "type", "env", "labels", "name", "command", "image", "image_pull_policy", "image_registry", "networks",
        "network_mode", "auto_remove", "volumes", "stream_output", "memswap_limit", "mem_limit", "privileged",
    ]  # fmt: skip


@pytest.mark.parametrize("policy", ["ALWAYS", "Always", "always", ImagePullPolicy.ALWAYS])
def test_the_pull_policy_is_understood_as_docker_and_kubernetes_spell_it(policy: Any):
    assert DockerContainer(image_pull_policy=policy).image_pull_policy is ImagePullPolicy.ALWAYS


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image_pull_policy": "IF_NOT_PRESNT"}, "Did you mean 'IF_NOT_PRESENT'"),
        ({"image": "Not An Image"}, "names no image"),
        ({"imgae": "x"}, "Did you mean 'image'"),
        ({"networks": ["a"], "network_mode": "host"}, r"networks and network_mode \(host\) exclude each other"),
        ({"network_mode": "container:"}, "container:NAME only"),
        ({"network_mode": "service:db"}, "container:NAME only"),
        ({"network_mode": " "}, "empty"),
        ({"volumes": ["/data"]}, "has no colon"),
        ({"volumes": ["/data:data"]}, "the path in the container begins with '/'"),
        ({"volumes": ["./data:/data"]}, "neither for a path"),
        ({"volumes": ["~/data:/data"]}, "neither for a path"),
        ({"volumes": ["/data:/data:or"]}, "option 'or'. There are ro, rw"),
        ({"volumes": ["/data:/data:rslav"]}, "Did you mean 'rslave'"),
        ({"volumes": ["/a:/data", "/b:/data/"]}, "mounted to the same place"),
        ({"mem_limit": "1 gigabyte"}, "512m"),
        ({"mem_limit": "1m"}, "less than 6m"),
        ({"memswap_limit": "1g"}, "needs mem_limit"),
        ({"mem_limit": "2g", "memswap_limit": "1g"}, "less than mem_limit"),
        ({"privileged": "perhaps"}, "boolean"),
        ({"image_registry": {"username": "u", "registry_url": "r"}}, "password"),
        ({"type": "docker"}, "docker-container"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_written(fields: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        DockerContainer(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"network_mode": "my-network"},
        {"network_mode": "container:web"},
        {"networks": ["a", "b"]},
        {"volumes": ["/a:/b", "cache:/c:rw,z", "C:\\data:/d:ro"]},
        {"mem_limit": "512m", "memswap_limit": -1},
        {"mem_limit": 1e9, "memswap_limit": "2g"},
        {"mem_limit": "${env:LIMIT}", "memswap_limit": "1g"},
        {"image": "${env:IMAGE}", "volumes": ["${env:DATA}:/data"], "network_mode": "${env:NETWORK}"},
    ],
)
def test_what_can_be_is_kept_as_it_was_written(fields: dict[str, Any]):
    block = DockerContainer(**fields)
    assert {name: getattr(block, name) for name in fields} == fields


def test_the_modes_of_docker_itself_are_understood_in_any_case():
    assert DockerContainer(network_mode="HOST").network_mode == "host"


def test_a_volume_is_taken_apart():
    assert read_volume("/a:/b:ro,z") == Volume("/a", "/b", ("ro", "z"))
    assert read_volume(r"C:\a:/b") == Volume(r"C:\a", "/b")


@pytest.mark.parametrize(
    ("amount", "found"), [(5, 5), (5.9, 5), ("5", 5), ("5b", 5), ("2k", 2048), ("1.5g", 1610612736), ("1GiB", 2**30)]
)
def test_amounts_of_memory_are_bytes_or_have_a_unit(amount: Any, found: int):
    assert bytes_of(amount, "mem_limit") == found


def test_the_registrys_password_is_not_shown():
    registry = DockerRegistry(username="u", password=SecretStr("hunter2"), registry_url="registry.example.com")
    block = DockerContainer(image_registry=registry, env={"DB_PASSWORD": "hunter2"})
    assert "hunter2" not in str(block.snapshot())
    assert "hunter2" in str(block.to_document_data())


def test_secrets_among_the_options_of_drivers_are_not_shown():
    block = DockerContainer(
        image="flows:1",
        host_config={"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "hunter2", "splunk-url": "https://s"}}},
        mounts=['target=/b,volume-driver=local,volume-opt=type=cifs,"volume-opt=o=username=me,password=hunter2"'],
    )
    for shown_text in (
        str(block.snapshot()),
        str(shown(render(block, sample_job("http://api.example.com", {})))),
        block.preview(),
    ):
        assert "hunter2" not in shown_text
        assert "username=me" in shown_text
        assert "https://s" in shown_text
    assert "hunter2" in str(block.to_document_data())


def test_a_block_that_was_saved_before_there_were_more_fields_is_what_it_was():
    old: JSONObject = {
        "type": "docker-container", "env": {"A": "1"}, "labels": {}, "name": None, "command": None, "image": "flows:1",
        "image_pull_policy": None, "image_registry": None, "networks": [], "network_mode": None, "auto_remove": False,
        "volumes": ["/a:/b"], "stream_output": True, "memswap_limit": None, "mem_limit": "1g", "privileged": False,
    }  # fmt: skip
    document = InfrastructureDocument(slug="docker-container", name="old", version="1", data=old)
    found = infrastructure_from(document, {"cpus": 2, "mounts": ["type=tmpfs,target=/c"]})
    assert isinstance(found, DockerContainer)
    assert (found.image, found.volumes, found.cpus, found.gpus) == ("flows:1", ["/a:/b"], 2, None)
    again = infrastructure_from(InfrastructureDocument(slug="docker-container", data=found.model_dump(mode="json")))
    assert again == found


def test_what_settings_refer_to_is_read_and_checked_where_they_are_used(monkeypatch: pytest.MonkeyPatch):
    block = DockerContainer(
        image="flows:1",
        ports=["${env:PORT}:80"],
        gpus="${env:GPUS}",
        ulimits={"nofile": "${env:FILES}"},
        mounts=[{"type": "bind", "source": "${env:DATA}", "target": "/data"}],
        host_config={"OomScoreAdj": "${env:SCORE}"},
        shm_size="${env:SHM}",
    )
    for name, value in {
        "PORT": "8080",
        "GPUS": "2",
        "FILES": "1024:2048",
        "DATA": "/a",
        "SCORE": "7",
        "SHM": "1m",
    }.items():
        monkeypatch.setenv(name, value)
    found = resolved(block)
    assert (found.ports, found.gpus, found.ulimits) == (["8080:80"], 2, {"nofile": "1024:2048"})
    assert (found.mounts[0].source, found.host_config, found.shm_size) == ("/a", {"OomScoreAdj": 7}, "1m")
    monkeypatch.setenv("SCORE", "high")
    with pytest.raises(ConfigurationError, match=r"host_config.OomScoreAdj is 'high'; it has to be a whole number"):
        resolved(block)
