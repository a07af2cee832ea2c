"""`penstock kubernetes manifest`: complete, known to Kubernetes, safe by default; and the folders made of the same."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_said import Said
from kubernetes_schema import check_object

from penstock.infrastructure.images import default_image
from penstock.infrastructure.kubernetes.installation import kustomize
from penstock.infrastructure.kubernetes.manifest import base_manifest
from penstock.infrastructure.kubernetes.permissions import PERMISSIONS

Penstock = Callable[..., Said]
DEPLOY = Path(__file__).parents[3] / "deploy" / "kustomize"
SERVER, AGENT = ("kubernetes", "manifest", "server"), ("kubernetes", "manifest", "agent")
#: Every command line whose objects are looked at.
LINES: list[tuple[str, ...]] = [
    SERVER,
    (*SERVER, "--with-postgres", "--replicas", "2", "--storage-class", "fast", "--storage-size", "9Gi"),
    (*SERVER, "--database-url-secret", "db", "--replicas", "3", "--service-account", "runner"),
    (*SERVER, "-i", "mine:1", "-n", "flows", "--log-level", "debug", "--api-key", "hunter2"),
    ("kubernetes", "manifest", "orion"),
    AGENT,
    (*AGENT, "--api-url", "https://p.example.org/api", "--api-key", "hunter2", "-q", "a", "-q", "b", "-p", "pool"),
    (*AGENT, "-n", "agents", "--job-namespace", "one", "--job-namespace", "two", "--limit", "5", "--replicas", "2"),
    (*AGENT, "--service-account", "runner", "--api-key-secret", "key"),
]


def objects(said: Said) -> list[Any]:
    assert said.code == 0, said.err
    return list(yaml.safe_load_all(said.out))


def named(found: list[Any], kind: str, name: str | None = None) -> Any:
    (one,) = [item for item in found if item["kind"] == kind and name in (None, item["metadata"]["name"])]
    return one


def pods(found: list[Any]) -> list[Any]:
    return [item["spec"]["template"]["spec"] for item in found if item["kind"] in ("Deployment", "StatefulSet")]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_object_is_one_that_kubernetes_knows(penstock: Penstock, line: tuple[str, ...]) -> None:
    found = objects(penstock(*line))
    for item in found:
        check_object(item)
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] == "penstock"
    places = [(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]) for item in found]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_no_pod_may_do_more_than_it_needs(penstock: Penstock, line: tuple[str, ...]) -> None:
    for pod in pods(objects(penstock(*line))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert {"livenessProbe", "readinessProbe"} <= container.keys()
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            claimed = {"data"} if container["name"] == "postgresql" else set()
            assert mounted == {volume["name"] for volume in pod["volumes"]} | claimed


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_secrets_are_in_secrets_alone(penstock: Penstock, line: tuple[str, ...]) -> None:
    found = objects(penstock(*line))
    contents = [text for item in found if item["kind"] == "Secret" for text in item["stringData"].values()]
    rest = json.dumps([item for item in found if item["kind"] != "Secret"])
    assert not [text for text in contents if text in rest]
    assert "hunter2" not in rest
    # what is referred to is printed along, unless it was said to be there
    printed = {item["metadata"]["name"] for item in found if item["kind"] == "Secret"}
    for pod in pods(found):
        for item in pod["containers"][0]["env"]:
            name = item.get("valueFrom", {}).get("secretKeyRef", {}).get("name")
            assert name in {*printed, None, "db", "key"} or "agent" in line


def test_the_server_keeps_its_database_on_a_volume_and_is_alone_with_it(penstock: Penstock) -> None:
    found = objects(penstock(*SERVER))
    assert [item["kind"] for item in found] == ["Secret", "PersistentVolumeClaim", "Deployment", "Service"]
    deployment = named(found, "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]["type"]) == (1, "Recreate")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == default_image()
    assert container["args"][:5] == ["penstock", "server", "start", "--host", "0.0.0.0"]
    assert named(found, "Service")["spec"]["ports"][0]["port"] == 4200
    refused = penstock(*SERVER, "--replicas", "2")
    assert refused.code != 0
    assert "2 servers need a PostgreSQL" in refused.err
    assert refused.out == ""


def test_a_postgresql_comes_along_or_is_somebody_elses(penstock: Penstock) -> None:
    found = objects(penstock(*SERVER, "--with-postgres", "--replicas", "2"))
    secret = named(found, "Secret", "penstock-postgresql")["stringData"]
    assert secret["database-url"] == f"postgresql://penstock:{secret['password']}@penstock-postgresql:5432/penstock"
    for line, name, key in (
        (("--with-postgres",), "penstock-postgresql", "database-url"),
        (("--database-url-secret", "db"), "db", "database-url"),
        (("--database-url-secret", "db/url"), "db", "url"),
    ):
        env = pods([named(objects(penstock(*SERVER, *line)), "Deployment")])[0]["containers"][0]["env"]
        (item,) = [item for item in env if item["name"] == "PENSTOCK_API_DATABASE_CONNECTION_URL"]
        assert item["valueFrom"]["secretKeyRef"] == {"name": name, "key": key}
    both = penstock(*SERVER, "--with-postgres", "--database-url-secret", "db")
    assert both.code != 0
    assert "exclude each other" in both.err


def test_keys_are_made_given_by_hand_in_a_file_or_there_already(
    penstock: Penstock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (named(objects(penstock(*SERVER)), "Secret") for _ in range(2))
    assert one["stringData"]["api-key"] != other["stringData"]["api-key"]
    assert len(base64.urlsafe_b64decode(one["stringData"]["server-keys"])) == 32
    assert one["immutable"] is True
    (tmp_path / "key").write_text("of a file\n")
    said = penstock(*SERVER, "--api-key-file", str(tmp_path / "key"))
    assert named(objects(said), "Secret")["stringData"]["api-key"] == "of a file"
    assert "A new key" not in said.err
    monkeypatch.setenv("PENSTOCK_SERVER_API_KEY", "of the setting")
    assert named(objects(penstock(*SERVER)), "Secret")["stringData"]["api-key"] == "of the setting"
    there = objects(penstock(*SERVER, "--api-key-secret", "keys"))
    assert "Secret" not in [item["kind"] for item in there]
    env = pods(there)[0]["containers"][0]["env"]
    assert {item["valueFrom"]["secretKeyRef"]["name"] for item in env if "valueFrom" in item} == {"keys"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--api-key-file", "/nowhere"), "cannot be read"),
        (("--api-key-file", "/dev/null"), "is empty"),
        (("--api-key-file", "x", "--api-key-secret", "y"), "exclude each other"),
        (("--database-url-secret", "A B"), "no Secret of Kubernetes"),
        (("--replicas", "0"), "0"),
        (("--with-postgre",), "Did you mean --with-postgres"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_printed(
    penstock: Penstock, options: tuple[str, ...], said: str
) -> None:
    found = penstock(*SERVER, *options)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_the_agent_may_do_what_it_does_and_only_in_the_namespaces_of_its_jobs(penstock: Penstock) -> None:
    found = objects(penstock(*AGENT, "-n", "agents", "--job-namespace", "one", "--job-namespace", "two"))
    assert not [item for item in found if item["kind"].startswith("Cluster")]
    roles = {item["metadata"]["namespace"]: item["rules"] for item in found if item["kind"] == "Role"}
    assert [*roles] == ["one", "two"]
    granted = {
        (group, resource, verb)
        for rule in roles["one"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(each.group, each.resource, verb) for each in PERMISSIONS for verb in each.verbs}
    assert not [one for one in granted if "*" in one or (one[1] == "secrets" and one[2] in ("get", "list", "watch"))]
    for binding in (item for item in found if item["kind"] == "RoleBinding"):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "penstock-agent", "namespace": "agents"}]
    assert named(found, "Deployment")["metadata"]["namespace"] == "agents"


def test_the_agent_finds_the_server_of_the_other_manifest_unless_it_is_told_otherwise(
    penstock: Penstock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, agent = objects(penstock(*SERVER)), objects(penstock(*AGENT))
    env = {item["name"]: item for item in pods(agent)[0]["containers"][0]["env"]}
    service = named(server, "Service")
    assert (
        env["PENSTOCK_API_URL"]["value"]
        == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/api"
    )
    reference = env["PENSTOCK_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert reference["name"] == named(server, "Secret")["metadata"]["name"]
    assert reference["key"] in named(server, "Secret")["stringData"]
    monkeypatch.setenv("PENSTOCK_API_URL", "https://of.the.setting/api")
    told = {item["name"]: item for item in pods(objects(penstock(*AGENT)))[0]["containers"][0]["env"]}
    assert told["PENSTOCK_API_URL"]["value"] == "https://of.the.setting/api"
    assert "PENSTOCK_API_KEY" not in told
    local = penstock(*AGENT, "--api-url", "http://127.0.0.1:4200/api")
    assert "means the pod itself" in local.err


def test_the_agent_takes_the_queues_that_are_named(penstock: Penstock) -> None:
    def words(*options: str) -> str:
        return " ".join(pods(objects(penstock(*AGENT, *options)))[0]["containers"][0]["args"])

    assert "-q kubernetes " in words()
    assert "-q a -q b -p pool" in words("-q", "a", "-q", "b", "-p", "pool")
    assert "-q" not in words("-p", "pool")


def test_parts_and_forms_can_be_chosen(penstock: Penstock) -> None:
    assert [item["kind"] for item in objects(penstock(*SERVER, "--secrets", "only"))] == ["Secret"]
    assert "Secret" not in [item["kind"] for item in objects(penstock(*SERVER, "--secrets", "none"))]
    whole = json.loads(penstock(*AGENT, "-o", "json").out)
    assert (whole["kind"], whole["items"][-1]["kind"]) == ("List", "Deployment")
    assert penstock(*AGENT, "-o", "name").out.split() == [
        "serviceaccount/penstock-agent",
        "role/penstock-agent",
        "rolebinding/penstock-agent",
        "deployment/penstock-agent",
    ]
    assert "&id" not in penstock(*SERVER).out


def test_the_manifest_of_a_job_is_the_one_that_blocks_have(penstock: Penstock) -> None:
    said = penstock("kubernetes", "manifest", "flow-run-job")
    assert objects(said) == [base_manifest()]
    assert said.out.startswith("#")
    check_object(base_manifest())


def test_the_folders_for_kustomize_are_made_of_the_same_objects() -> None:
    there = {str(path.relative_to(DEPLOY)): path.read_text() for path in DEPLOY.rglob("*.yaml")}
    assert there == kustomize.files(), "run scripts/kustomize.py"
    assert "kind: Secret\n" not in "".join(there.values())
    for item in (item for text in there.values() for item in yaml.safe_load_all(text)):
        if not item["apiVersion"].startswith("kustomize.config.k8s.io/"):
            check_object(item)
