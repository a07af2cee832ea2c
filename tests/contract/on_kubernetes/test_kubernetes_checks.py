"""What a check finds on a real cluster, and that it leaves nothing behind."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import docker_engine
import pytest
from kubernetes_cluster import BUSYBOX, Cluster

from penstock.errors import JobRejected
from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.permissions import rules
from penstock.model.reasons import Reason
from penstock.testing import server, wait_until

from .kubernetes_jobs import PATIENCE, a_job, a_token, as_user, findings, request


@pytest.fixture
def no_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that means the pod itself, so that none is made to ask it."""
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:9/api")


def test_the_rights_of_the_table_are_enough_for_a_whole_run_and_for_the_check(
    cluster: Cluster, namespace: str, tmp_path: Path, no_api: None
) -> None:
    kubeconfig = as_user(cluster, tmp_path, {"token": a_token(cluster, namespace, rules())})
    found = findings(kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace))
    assert [each for each in found if not each.ok] == []
    assert any(each.tried.startswith("a Job of this block") for each in found)

    async def whole_run() -> None:
        driver = KubernetesDriver({"KUBECONFIG": str(kubeconfig)}, namespace)
        try:
            handle = await driver.start(request(namespace, a_job("sh", "-c", "echo here; sleep 600")))
            while not (await driver.output(handle)).text:
                await driver.observe([handle])
                await driver.wait_for_news(0.2)
            await driver.stop(handle, 0)
            assert (await driver.observe([handle]))[0].status == "ENDED"
            await driver.remove(handle)
            assert await driver.find_job(handle.data["name"]) is None
        finally:
            await driver.close()

    asyncio.run(whole_run())


def test_each_missing_right_is_named_with_what_it_is_for(
    cluster: Cluster, namespace: str, tmp_path: Path, no_api: None
) -> None:
    some = [rule for rule in rules() if rule["resources"] not in (["secrets"], ["pods/log"], ["events"])]
    kubeconfig = as_user(cluster, tmp_path, {"token": a_token(cluster, namespace, some)})
    found = {each.tried: each for each in findings(kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace))}
    assert found[f"create secrets in {namespace}"].ok is False
    assert "token" in found[f"create secrets in {namespace}"].said
    assert found[f"get pods/log in {namespace}"].ok is False
    assert found[f"list events in {namespace}"].ok is True  # it does without
    assert f"create jobs in {namespace}" not in found

    async def refused() -> JobRejected:
        driver = KubernetesDriver({"KUBECONFIG": str(kubeconfig)}, namespace)
        try:
            with pytest.raises(JobRejected) as told:
                await driver.start(request(namespace, a_job("true")))
            assert await driver.find_job("no-such-job") is None
            return told.value
        finally:
            await driver.close()

    error = asyncio.run(refused())
    assert error.reason is Reason.NOT_PERMITTED
    assert "secrets" in error.message
    assert cluster.get("jobs", "-n", namespace)["items"] == []  # a job without its token is taken back


def test_what_is_wrong_with_the_place_is_found(cluster: Cluster, namespace: str, no_api: None) -> None:
    cluster.kubectl("-n", namespace, "create", "quota", "full", "--hard=pods=0")
    wait_until(lambda: "used" in cluster.get("quota", "full", "-n", namespace)["status"], PATIENCE, "it is counted")
    found = findings(
        cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace, service_account_name="nobody")
    )
    wrong = {each.tried: each for each in found if not each.ok}
    assert set(wrong) == {"the quota full", "the service account nobody"}
    assert all(each.fix for each in wrong.values())
    found = findings(cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace="not-there"))
    assert {each.tried for each in found if not each.ok} >= {"the namespace not-there"}


#: What a pod can name, in the block's fields and in its manifest.
NAMING: dict[str, Any] = {
    "image_pull_secrets": ["login", "no-login", "half-login"],
    "env_from_secrets": ["warehouse", "no-secret"],
    "env_from_config_maps": ["levels", "no-map"],
    "env_secret_keys": {"A": "warehouse/password", "B": "warehouse/pasword", "C": "fixed/a", "D": "fixed/b"},
    "env_config_map_keys": {"E": "levels/level", "F": "levels/levle"},
    "volumes": [
        {"name": "one", "secret": {"secretName": "no-file", "items": [{"key": "k", "path": "k"}]}},
        {"name": "two", "configMap": {"name": "no-folder"}},
        {"name": "three", "secret": {"secretName": "perhaps", "optional": True}},
        {"name": "four", "projected": {"sources": [{"secret": {"name": "no-part"}}]}},
    ],
}


def _with_objects(cluster: Cluster, namespace: str) -> None:
    fixed = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fixed"}, "immutable": True, "data": {"a": ""}}
    login = ("--docker-server=r.example.com", "--docker-username=u", "--docker-password=hunter2")
    cluster.kubectl("-n", namespace, "create", "secret", "docker-registry", "login", *login)
    # as it comes about where the type is forgotten: nodes pass it over without a word
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "half-login", "--from-literal=.dockerconfigjson={}")
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "warehouse", "--from-literal=password=hunter2")
    cluster.kubectl("-n", namespace, "create", "configmap", "levels", "--from-literal=level=debug")
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(fixed))


def test_what_the_pod_names_is_looked_for_one_by_one_and_no_secret_is_read(
    cluster: Cluster, namespace: str, no_api: None
) -> None:
    _with_objects(cluster, namespace)
    before = cluster.get("secrets", "-n", namespace)["items"]
    found = findings(cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace, **NAMING))
    about = {each.tried.removesuffix(f" in {namespace}").removeprefix("the "): each for each in found}
    there = {"login login", "Secret warehouse", "ConfigMap levels", "key password of the Secret warehouse"}
    there |= {"key level of the ConfigMap levels", "key a of the Secret fixed"}
    assert {what for what in there if about[what].ok} == there
    wrong = {each.tried.removesuffix(f" in {namespace}").removeprefix("the ") for each in found if not each.ok}
    assert wrong == {
        "login no-login", "login half-login", "Secret no-secret", "ConfigMap no-map", "ConfigMap no-folder",
        "Secret no-part", "key k of the Secret no-file", "key pasword of the Secret warehouse", "key b of the Secret fixed",
        "key levle of the ConfigMap levels",
    }  # fmt: skip
    assert "kubectl create secret docker-registry no-login --namespace" in about["login no-login"].fix
    assert "of type Opaque" in about["login half-login"].said
    assert "--from-literal=k=VALUE" in about["key k of the Secret no-file"].fix
    assert "Did you mean 'level'?" in about["key levle of the ConfigMap levels"].said
    assert all("correct it in" in about[what].fix for what in wrong)
    assert "hunter2" not in str(found)
    assert cluster.get("secrets", "-n", namespace)["items"] == before


def test_logins_of_the_service_account_are_looked_for_where_the_pod_names_none(
    cluster: Cluster, namespace: str, no_api: None
) -> None:
    logins = json.dumps({"imagePullSecrets": [{"name": "no-login"}]})
    cluster.kubectl("-n", namespace, "patch", "serviceaccount", "default", "-p", logins)
    tried = f"the login no-login in {namespace} of the service account"
    (told,) = [
        each
        for each in findings(cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace))
        if each.tried == tried
    ]
    assert (told.ok, told.said) == (True, "there is no Secret no-login; images are fetched without it")
    named = KubernetesJob(image=BUSYBOX, namespace=namespace, image_pull_secrets=["mine"])
    assert tried not in {each.tried for each in findings(cluster.kubeconfig, named)}


def test_what_the_agent_may_not_look_at_is_said_and_its_pod_tells_in_kubernetes_words(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = as_user(cluster, tmp_path, {"token": a_token(cluster, namespace, rules())})
    # nobody is asked: the pod does not come that far
    monkeypatch.setenv("PENSTOCK_API_URL", "http://api.example.invalid/api")
    config = KubernetesJob(image=BUSYBOX, namespace=namespace, env_config_map_keys={"LEVEL": "levels/level"})
    found = {each.tried: each for each in findings(kubeconfig, config)}
    unseen = found[f"the key level of the ConfigMap levels in {namespace}"]
    assert (unseen.ok, unseen.said.startswith("not looked at: the agent may not")) == (True, True)
    (told,) = [each for each in found.values() if not each.ok]
    assert 'configmap "levels" not found' in told.said
    assert cluster.get("jobs", "-n", namespace)["items"] == []


def test_a_cluster_that_is_not_there_is_one_finding(tmp_path: Path, no_api: None) -> None:
    known = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "gone",
        "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "me"}}],
        "clusters": [{"name": "gone", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "me", "user": {"token": base64.b64encode(b"x").decode()}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(known))
    found = findings(kubeconfig, KubernetesJob(image=BUSYBOX))
    assert [(each.ok, "127.0.0.1:9" in each.said) for each in found] == [(False, True)]


def test_a_pod_asks_the_api_and_is_removed(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if cluster.host is None:
        pytest.skip("this cluster is somebody's own: its pods do not reach this machine")
    image = docker_engine.python_image()
    cluster.load(image)
    config = KubernetesJob(image=image, namespace=namespace)
    with server(env={"PENSTOCK_SERVER_API_HOST": cluster.host}) as running:
        monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
        found = {each.tried: each for each in findings(cluster.kubeconfig, config)}
        assert found[f"the API {running.api_url} from a pod"].ok, found
    monkeypatch.setenv("PENSTOCK_API_URL", f"http://{cluster.host}:9/api")
    found = {each.tried: each for each in findings(cluster.kubeconfig, config)}
    assert "refused" in found[f"the API http://{cluster.host}:9/api from a pod"].said
    assert cluster.get("jobs", "-n", namespace)["items"] == []
