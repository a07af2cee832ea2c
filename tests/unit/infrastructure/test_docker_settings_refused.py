"""Settings of a DockerContainer that cannot be: refused where they are written, with the field, the value and what is right."""

from typing import Any

import pytest
from pydantic import ValidationError

from penstock.errors import ConfigurationError
from penstock.infrastructure import DockerContainer
from penstock.infrastructure.effective import Layer, effective, infrastructure_class, overridable
from penstock.infrastructure.overrides import read_texts

#: field -> values that it cannot have, each with a part of what is said of it
REFUSED: dict[str, list[tuple[Any, str]]] = {
    "env": [
        ({"": "1"}, "names are not empty"),
        ({"A=B": "1"}, "hold no '='"),
        ({"A": "x\0y"}, "NUL"),
        ({"PENSTOCK__ATTEMPT_TOKEN": "x"}, "Penstock's own"),
        ({"A": ["1"]}, "env.A"),
    ],
    "labels": [
        ({"": "1"}, "cannot be a label"),
        ({"penstock.io/owner": "me"}, "jobs are found by"),
        ({"a": {"b": "c"}}, "labels.a"),
    ],
    "image": [
        ("", "names no image"),
        ("UPPER:1", "lower case: 'upper'"),
        ("a b", "names no image"),
        ("a:b:c", "names no image"),
    ],
    "image_pull_policy": [("SOMETIMES", "ALWAYS, NEVER"), ("IFNOTPRESNT", "Did you mean 'IF_NOT_PRESENT'")],
    "networks": [
        (["host"], "set network_mode instead"),
        (["container:web"], "set network_mode instead"),
        (["a b"], "no name of a network"),
        (["a", "a"], "named twice"),
        ("a", "list"),
    ],
    "network_mode": [
        ("", "empty"),
        ("container:", "container:NAME only"),
        ("service:web", "container:NAME only"),
        ("a b", "a network's name"),
        ("container:a b", "a network's name"),
    ],
    "auto_remove": [("maybe", "true or false|boolean")],
    "volumes": [
        (["/a"], "has no colon"),
        (["/a:b"], "begins with '/'"),
        (["a/b:/c"], "neither for a path"),
        (["/a:/b:rx"], "option 'rx'"),
        (["/a:/b", "/c:/b/"], "mounted to the same place"),
    ],
    "stream_output": [("loud", "true or false|boolean")],
    "mem_limit": [
        ("lots", "512m"),
        ("1m", "less than 6m"),
        ("-5m", "512m"),
        (-5, "512m"),
        (0, "512m"),
        ("5t", "512m"),
        (True, "512m"),
        ([1], "512m"),
    ],
    "memswap_limit": [("1g", "needs mem_limit"), ("x", "512m"), (-2, "512m")],
    "privileged": [("root", "true or false|boolean")],
    "cpus": [
        (0, "less than 0.01"),
        (-1, "less than 0.01"),
        ("many", "number"),
        (float("inf"), "finite number"),
        (float("nan"), "finite number"),
    ],
    "gpus": [
        (0, "from 1 on"),
        (-1, "from 1 on"),
        ("-2", "from 1 on"),
        (True, "from 1 on"),
        ("some", "device=0,1"),
        ([], "names each GPU once"),
        (["0", "0"], "names each GPU once"),
        ("device=", "names each GPU once"),
        ("device=0,,1", "names each GPU once"),
    ],
    "shm_size": [("big", "512m"), (0, "512m"), (-1, "512m"), (False, "512m")],
    "user": [
        ("", "user:group"),
        ("a b", "user:group"),
        ("a:b:c", "user:group"),
        (":100", "user:group"),
        (["me"], "user"),
    ],
    "mounts": [
        ("type=bind", "list"),
        (["/a:/b"], "'/a:/b', which no mount has"),
        (["type=bnd,source=/a,target=/b"], "Did you mean 'bind'"),
        (["type=bind,soruce=/a,target=/b"], "Did you mean 'source'"),
        (["type=bind,source=/a"], "target"),
        (["type=bind,target=/b"], "a bind needs its source"),
        (["type=bind,source=a,target=/b"], "whole path of the host"),
        (["type=bind,source=/a,target=b"], "begins with '/'"),
        (["type=bind,source=/a,target=/"], "not all of it"),
        (["type=volume,source=/a,target=/b"], "mounted by type=bind"),
        (["source=a/b,target=/b"], "no name of a volume"),
        (["type=tmpfs,source=a,target=/b"], "is memory and has no source"),
        (["type=tmpfs,target=/b,tmpfs-size=x"], "512m"),
        (["type=tmpfs,target=/b,tmpfs-size=0"], "one byte or more"),
        (["type=tmpfs,target=/b,tmpfs-mode=rwx"], "octal"),
        (["type=bind,source=/a,target=/b,tmpfs-size=1m"], "size is for mounts of type tmpfs"),
        (["type=bind,source=/a,target=/b,volume-nocopy"], "nocopy is for mounts of type volume"),
        (["type=volume,target=/b,bind-propagation=slave"], "propagation is for mounts of type bind"),
        (["type=bind,source=/a,target=/b,bind-propagation=slav"], "Did you mean 'slave'"),
        (["type=bind,source=/a,target=/b,target=/c"], "says target twice"),
        (["type=bind,source,target=/b"], "says source without a value"),
        ([{"type": "bind", "source": "/a", "target": "/b", "readonly": True}], "Did you mean 'read_only'"),
        ([{"source": "v", "target": "/b", "driver_options": [1]}], "driver_options"),
        (["target=/a", "target=/a/"], "mounted to the same place"),
        ([7], "mounts"),
    ],
    "tmpfs": [
        (["scratch"], "begins with '/'"),
        (["/"], "begins with '/'"),
        (["/a:big"], "option 'big'"),
        (["/a:sized=1m"], "Did you mean 'size'"),
        (["/a:size"], "option 'size'"),
        (["/a:ro=1"], "option 'ro=1'"),
        (["/a", "/a:ro"], "mounted to the same place"),
    ],
    "ulimits": [
        ({"nofiles": 1}, "Did you mean 'nofile'"),
        ({"nofile": "x"}, "1024:4096"),
        ({"nofile": "1:2:3"}, "1024:4096"),
        ({"nofile": -2}, "1024:4096"),
        ({"nofile": "2048:1024"}, "above the hard one"),
        ({"nofile": "-1:1024"}, "above the hard one"),
        ({"nofile": {"soft": 1}}, "nofile"),
    ],
    "ports": [
        (["http"], "8080:80"),
        (["80:80:80:80"], "8080:80"),
        (["0:80000"], "from 1 to 65535"),
        (["70000:80"], "from 1 to 65535"),
        (["80-70:80-70"], "from 1 to 65535"),
        (["8000-8002:80-81"], "3 ports of the host cannot be 2"),
        (["80/tpc"], "Did you mean 'tcp'"),
        (["300.1.1.1:80:80"], "no IP address"),
        (["8080:80", "8080:81"], "publish the same port 8080"),
        (["8080-8082:80-82", "8081:90"], "publish the same port 8081"),
    ],
    "extra_hosts": [
        ({"db": "db.example.com"}, "no IP address"),
        ({"db": "host-gatway"}, "Did you mean 'host-gateway'"),
        ({"a b": "10.0.0.1"}, "no name of a host"),
        ({"": "10.0.0.1"}, "no name of a host"),
    ],
    "dns": [(["dns.example.com"], "no IP address"), (["10.0.0.256"], "no IP address"), ("10.0.0.1", "list")],
    "platform": [
        ("arm64", "os/architecture"),
        ("linux/", "os/architecture"),
        ("linux/arm/v7/x", "os/architecture"),
        ("linus/arm64", "Did you mean 'linux'"),
        ("linux/amd46", "Did you mean 'amd64'"),
    ],
    "entrypoint": [({"a": "b"}, "entrypoint")],
    "working_dir": [("srv", "begins with '/'"), ("", "begins with '/'"), ("~/x", "begins with '/'")],
    "cap_add": [(["SYS_PTRCE"], "Did you mean 'SYS_PTRACE'"), ("ALL", "list")],
    "cap_drop": [(["CAP_NOTHING"], "there is no capability")],
    "read_only": [("partly", "true or false|boolean")],
    "init": [("tini", "true or false|boolean")],
    "runtime": [("", "no runtime"), ("my runtime", "no runtime")],
    "pids_limit": [(0, "1 or more"), (-2, "1 or more"), ("few", "number|integer"), (1.5, "number|integer")],
    "devices": [
        (["fuse"], "no device"),
        (["/dev/fuse:fuse"], "no device"),
        (["/dev/fuse:/dev/fuse:rx"], "r (read)"),
        (["/dev/fuse:/dev/fuse:rr"], "r (read)"),
    ],
    "host_config": [
        ({"OomScoreAd": 500}, "Did you mean 'OomScoreAdj'"),
        ({"oomscoreadj": 500}, "Did you mean 'OomScoreAdj'"),
        ({"OomScoreAdj": 5000}, "between -1000 and 1000"),
        ({"OomScoreAdj": "high"}, "a whole number"),
        ({"OomScoreAdj": True}, "a whole number"),
        ({"OomKillDisable": 7}, "true or false"),
        ({"MemorySwappiness": 101}, "between 0 and 100"),
        ({"CpuShares": -1}, "0 or more"),
        ({"CgroupnsMode": "privat"}, "Did you mean 'private'"),
        ({"SecurityOpt": "no-new-privileges"}, "a list"),
        ({"GroupAdd": [["a"]]}, "host_config.GroupAdd.0"),
        ({"LogConfig": {"type": "json-file"}}, "Did you mean 'Type'"),
        ({"LogConfig": {"Config": {"max-size": ["1m"]}}}, "host_config.LogConfig.Config.max-size"),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rat": 1}]}, "Did you mean 'Rate'"),
        ({"DeviceRequests": [{"Count": -2}]}, "-1 or more"),
        ({"Sysctls": 7}, "an object"),
        ({"KernelMemory": 1}, "the engine would drop it without a word"),
        ({"Memory": 1}, "the block has the field 'mem_limit' for it"),
        ({"AutoRemove": True}, "the block has the field 'auto_remove' for it"),
        ({"NetworkMode": "host"}, "the block has the field 'network_mode' for it"),
        ({"Binds": []}, "the block has the field 'volumes' for it"),
        ({"RestartPolicy": {"Name": "always"}}, "use the flow's retries"),
        ({"mem_limit": "1g"}, "the block has the field 'mem_limit' for it"),
        ({"Labels": {}}, "there is no 'Labels' in host_config"),
        (["OomScoreAdj"], "host_config"),
    ],
    "config": [
        ({"Hostnam": "x"}, "Did you mean 'Hostname'"),
        ({"Hostname": ["a"]}, "a text"),
        ({"Labels": {"penstock.io/owner": "me"}}, "the block has the field 'labels' for it"),
        ({"Image": "x"}, "the block has the field 'image' for it"),
        ({"Env": ["A=1"]}, "the block has the field 'env' for it"),
        ({"Name": "x"}, "the field 'name' is a label"),
        ({"Tty": True}, "terminal"),
        ({"StopTimeout": 5}, "the block has the field 'grace_seconds' for it"),
        ({"Healthcheck": {"Tset": []}}, "Did you mean 'Test'"),
        ({"Healthcheck": {"Interval": "5s"}}, "a whole number"),
    ],
}
#: What only cannot be together.
TOGETHER: list[tuple[dict[str, Any], str]] = [
    ({"networks": ["a"], "network_mode": "host"}, "exclude each other"),
    ({"mem_limit": "2g", "memswap_limit": "1g"}, "less than mem_limit"),
    ({"mem_limit": "64m", "host_config": {"MemoryReservation": 10**9}}, "more than mem_limit"),
    ({"cpus": 1, "host_config": {"CpuQuota": 5000}}, "cpus and host_config.CpuQuota exclude each other"),
    ({"gpus": 1, "host_config": {"DeviceRequests": [{"Count": 1}]}}, "exclude each other"),
    ({"network_mode": "host", "ports": ["80"]}, "ports cannot be set with network_mode host"),
    ({"network_mode": "none", "ports": ["80"]}, "ports cannot be set with network_mode none"),
    ({"network_mode": "container:web", "ports": ["80"]}, "ports cannot be set with"),
    ({"network_mode": "container:web", "extra_hosts": {"a": "10.0.0.1"}}, "extra_hosts cannot be set with"),
    ({"network_mode": "container:web", "dns": ["10.0.0.1"]}, "dns cannot be set with"),
    ({"volumes": ["/a:/b"], "tmpfs": ["/b"]}, "mounted to the same place"),
    ({"volumes": ["/a:/b"], "mounts": ["target=/b"]}, "mounted to the same place"),
]
CASES = [(field, value, said) for field, values in REFUSED.items() for value, said in values]


def test_there_are_more_than_a_hundred_of_them_and_some_for_nearly_every_field() -> None:
    assert len(CASES) + len(TOGETHER) > 150
    assert {*DockerContainer.model_fields} - {*REFUSED} == {
        "type", "name", "command", "image_registry", "start_timeout", "run_timeout", "cancel_timeout", "grace_seconds"
    }  # fmt: skip


@pytest.mark.parametrize(("field", "value", "said"), CASES, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_refused_by_the_block_and_as_an_override_with_its_field_and_place(
    field: str, value: Any, said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        DockerContainer(**{field: value})
    assert field in str(refused.value)
    assert any(part in str(refused.value) for part in said.split("|"))
    with pytest.raises(ConfigurationError) as overridden:
        effective("docker-container", None, [Layer("infra_overrides of deployment 'a/b'", {field: value})])
    assert field in overridden.value.message
    assert "infra_overrides of deployment 'a/b'" in overridden.value.message


@pytest.mark.parametrize(("fields", "said"), TOGETHER, ids=lambda value: str(value)[:60])
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DockerContainer(**fields)


@pytest.mark.parametrize(
    ("texts", "field", "value"),
    [
        ({"cpus": "2"}, "cpus", 2.0),
        ({"gpus": "2"}, "gpus", 2),
        ({"gpus": "all"}, "gpus", "all"),
        ({"gpus": "device=0,1"}, "gpus", ["0", "1"]),
        ({"gpus": '["GPU-1"]'}, "gpus", ["GPU-1"]),
        ({"ulimits.nofile": "1024"}, "ulimits", {"nofile": 1024}),
        ({"ulimits.nofile": "1024:2048"}, "ulimits", {"nofile": "1024:2048"}),
        ({"ulimits": '{"nofile": 5, "core": 0}'}, "ulimits", {"nofile": 5, "core": 0}),
        ({"host_config.OomScoreAdj": "500"}, "host_config", {"OomScoreAdj": 500}),
        ({"host_config": '{"OomScoreAdj": 500}'}, "host_config", {"OomScoreAdj": 500}),
        (
            {"host_config.LogConfig.Config.max-size": "10m"},
            "host_config",
            {"LogConfig": {"Config": {"max-size": "10m"}}},
        ),
        ({"host_config.SecurityOpt": '["no-new-privileges"]'}, "host_config", {"SecurityOpt": ["no-new-privileges"]}),
        (
            {"host_config.Sysctls.net.core.somaxconn": "1024"},
            "host_config",
            {"Sysctls": {"net.core.somaxconn": "1024"}},
        ),
        ({"config.Hostname": "worker"}, "config", {"Hostname": "worker"}),
        ({"config.Healthcheck.Test": '["NONE"]'}, "config", {"Healthcheck": {"Test": ["NONE"]}}),
        ({"extra_hosts.db.example.com": "10.0.0.5"}, "extra_hosts", {"db.example.com": "10.0.0.5"}),
        ({"ports": '["8080:80"]'}, "ports", ["8080:80"]),
        ({"init": "true"}, "init", True),
        ({"pids_limit": "100"}, "pids_limit", 100),
        ({"user": "1000"}, "user", "1000"),
        ({"shm_size": "1g"}, "shm_size", "1g"),
        ({"entrypoint": "sh -c"}, "entrypoint", ["sh", "-c"]),
        ({"entrypoint": "[]"}, "entrypoint", []),
        ({"working_dir": "/srv"}, "working_dir", "/srv"),
        ({"cap_add": '["sys_ptrace"]'}, "cap_add", ["SYS_PTRACE"]),
        ({"cpus": "null"}, "cpus", None),
    ],
    ids=str,
)
def test_overrides_of_the_command_line_are_what_they_mean(texts: dict[str, str], field: str, value: Any) -> None:
    overrides = read_texts(texts, overridable(infrastructure_class("docker-container")))
    found = effective("docker-container", None, [Layer("--override", overrides)]).infrastructure
    assert getattr(found, field) == value


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"host_config.OomScoreAd": "1"}, "Did you mean 'OomScoreAdj'"),
        ({"host_config.LogConfig.Confg": "1"}, "Did you mean 'Config'"),
        ({"host_config.Memory": "1g"}, "the block has the field 'mem_limit' for it"),
        ({"config.Labels": '{"a": "b"}'}, "the block has the field 'labels' for it"),
        ({"mounts.0.traget": "/b"}, "Did you mean 'target'"),
        ({"cpu": "2"}, "Did you mean 'cpus'"),
        ({"ulimits.nofiles": "1"}, "Did you mean 'nofile'"),
        ({"cpus": "many"}, "cpus: it has to be a number, not 'many'"),
    ],
    ids=str,
)
def test_overrides_that_mean_nothing_are_refused_with_what_may_be_meant(texts: dict[str, str], said: str) -> None:
    overrides = read_texts(texts, overridable(infrastructure_class("docker-container")))
    with pytest.raises(ConfigurationError) as refused:
        effective("docker-container", None, [Layer("--override", overrides)])
    assert said in refused.value.message


def test_parts_of_a_mount_can_be_overridden() -> None:
    mount = {"type": "bind", "source": "/a", "target": "/b"}
    layers = [Layer("one", {"mounts": [mount]}), Layer("two", {"mounts.0.read_only": "true"})]
    found = effective("docker-container", None, layers).infrastructure
    assert isinstance(found, DockerContainer)
    assert (found.mounts[0].source, found.mounts[0].read_only) == ("/a", True)
