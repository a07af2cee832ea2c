"""What a check finds on a real cluster, and that it leaves nothing behind."""

import asyncio
import base64
import json
from pathlib import Path

import docker_engine
import pytest
from kubernetes_cluster import BUSYBOX, Cluster

from penstock.errors import JobRejected
from penstock.infrastructure.base import Finding
from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.permissions import rules
from penstock.model.reasons import Reason
from penstock.testing import server

from .kubernetes_jobs import a_job, a_token, as_user, request


def _check(kubeconfig: Path, config: KubernetesJob) -> list[Finding]:
    async def ask() -> list[Finding]:
        driver = KubernetesDriver({"KUBECONFIG": str(kubeconfig)})
        try:
            return await driver.check(config)
        finally:
            await driver.close()

    return asyncio.run(ask())


@pytest.fixture
def no_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that means the pod itself, so that none is made to ask it."""
    monkeypatch.setenv("PENSTOCK_API_URL", "http://127.0.0.1:9/api")


def test_the_rights_of_the_table_are_enough_for_a_whole_run_and_for_the_check(
    cluster: Cluster, namespace: str, tmp_path: Path, no_api: None
) -> None:
    kubeconfig = as_user(cluster, tmp_path, {"token": a_token(cluster, namespace, rules())})
    found = _check(kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace))
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
    found = {each.tried: each for each in _check(kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace))}
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
    found = _check(cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace=namespace, service_account_name="nobody"))
    wrong = {each.tried: each for each in found if not each.ok}
    assert set(wrong) == {"the quota full", "the service account nobody"}
    assert all(each.fix for each in wrong.values())
    found = _check(cluster.kubeconfig, KubernetesJob(image=BUSYBOX, namespace="not-there"))
    assert {each.tried for each in found if not each.ok} >= {"the namespace not-there"}


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
    found = _check(kubeconfig, KubernetesJob(image=BUSYBOX))
    assert [(each.ok, "127.0.0.1:9" in each.said) for each in found] == [(False, True)]


def test_a_pod_asks_the_api_and_is_removed(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if cluster.host is None:
        pytest.skip("this cluster is somebody's own: its pods do not reach this machine")
    image = docker_engine.python_image()
    cluster.load(image)
    config = KubernetesJob(image=image, namespace=namespace)
    with server(env={"PENSTOCK_SERVER_API_HOST": cluster.host}) as running:
        monkeypatch.setenv("PENSTOCK_API_URL", running.api_url)
        found = {each.tried: each for each in _check(cluster.kubeconfig, config)}
        assert found[f"the API {running.api_url} from a pod"].ok, found
    monkeypatch.setenv("PENSTOCK_API_URL", f"http://{cluster.host}:9/api")
    found = {each.tried: each for each in _check(cluster.kubeconfig, config)}
    assert "refused" in found[f"the API http://{cluster.host}:9/api from a pod"].said
    assert cluster.get("jobs", "-n", namespace)["items"] == []
