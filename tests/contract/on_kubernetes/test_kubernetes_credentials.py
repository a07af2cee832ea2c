"""Who the agent is on a cluster: where that is said, that it may change, and what is told when it is not accepted."""

import base64
from pathlib import Path

import pytest
import yaml
from kubernetes_asyncio.config import incluster_config
from kubernetes_cluster import Cluster

from penstock import clock
from penstock.blocks.credentials.kubernetes_cluster import KubernetesClusterConfig
from penstock.errors import ConfigurationError, NotReachable
from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes.access import Access, access_of
from penstock.infrastructure.kubernetes.connection import AGAIN_SECONDS, cluster_id
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.permissions import rules
from penstock.testing import Fault

from .kubernetes_jobs import a_job, a_token, as_user, ask, request, until, way

PLUGIN = """#!/bin/sh
echo called >> {calls}
printf '{{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {{"token": "%s"}}}}' "$(cat {token})"
"""


def _plugin(folder: Path) -> dict[str, object]:
    """A user whose token a program prints."""
    program = folder / "plugin"
    program.write_text(PLUGIN.format(calls=folder / "calls", token=folder / "token"))
    program.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(program)}}


@pytest.mark.parametrize("how", ["tokenFile", "exec"])
def test_credentials_that_were_renewed_are_taken_without_a_restart(
    cluster: Cluster, namespace: str, tmp_path: Path, how: str
) -> None:
    token = tmp_path / "token"
    token.write_text("expired")
    user = {"tokenFile": str(token)} if how == "tokenFile" else _plugin(tmp_path)
    kubeconfig = as_user(cluster, tmp_path, user)
    ask(kubeconfig, namespace, lambda driver: _renews(driver, cluster, namespace, token))
    if how == "exec":
        assert len((tmp_path / "calls").read_text().split()) <= 4  # not for each request


def test_a_pod_takes_its_renewed_token_without_a_restart(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    host, port = known["server"].removeprefix("https://").split(":")
    place = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    authority, token = tmp_path / "ca.crt", tmp_path / "token"
    authority.write_bytes(base64.b64decode(known["certificate-authority-data"]))
    token.write_text("expired")
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    ask(None, namespace, lambda driver: _renews(driver, cluster, namespace, token), environ=place)


async def _renews(driver: KubernetesDriver, cluster: Cluster, namespace: str, token: Path) -> None:
    with pytest.raises(NotReachable, match="does not accept the credentials") as told:
        await driver.find_job("no-such-job")
    assert told.value.code == "credentials"
    token.write_text(a_token(cluster, namespace, rules()) + "\n")  # as most programs write one
    handle = await driver.start(request(namespace, a_job("sh", "-c", "exit 3")))
    seen = await until(driver, handle, "ENDED")
    assert seen.exit is not None
    assert seen.exit.code == 3


def test_a_plugin_whose_token_is_not_accepted_is_not_called_for_each_request(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("expired")

    async def question(driver: KubernetesDriver) -> None:
        began = clock.monotonic()
        for _ in range(20):
            with pytest.raises(NotReachable):
                await driver.find_job("no-such-job")
        most = 2 + (clock.monotonic() - began) / AGAIN_SECONDS
        assert len((tmp_path / "calls").read_text().split()) <= most

    ask(as_user(cluster, tmp_path, _plugin(tmp_path)), namespace, question)


def test_the_log_of_a_job_is_read_although_its_readers_token_has_just_expired(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with way(cluster, tmp_path) as broken:

        async def question(driver: KubernetesDriver) -> None:
            handle = await driver.start(request(namespace, a_job("echo", "mine")))
            await until(driver, handle, "ENDED")
            expired = broken.proxy.add(Fault("status", path=".*/log", status=401, times=1))
            assert (await driver.output(handle)).text == "mine\n"
            assert expired.struck == 1

        ask(broken.kubeconfig, namespace, question)


def test_a_plugin_that_fails_is_told_with_its_words(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    program = tmp_path / "plugin"
    program.write_text("#!/bin/sh\necho log in first >&2\nexit 1\n")
    program.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": str(program)}}

    async def question(driver: KubernetesDriver) -> None:
        with pytest.raises(NotReachable, match="log in first"):
            await driver.reach(None)

    ask(as_user(cluster, tmp_path, user), namespace, question)


def test_a_block_and_a_kubeconfig_of_one_cluster_are_one_place(cluster: Cluster, namespace: str) -> None:
    block = KubernetesClusterConfig.from_file(cluster.kubeconfig)

    async def question(driver: KubernetesDriver) -> None:
        by_kubeconfig = await driver.reach(KubernetesJob(namespace=namespace))
        by_block = await driver.reach(KubernetesJob(namespace=namespace, cluster_config=block))
        assert by_kubeconfig == by_block
        handle = await driver.start(request(namespace, a_job("true"), cluster_config=block))
        await until(driver, handle, "ENDED")

    ask(cluster.kubeconfig, namespace, question)


def test_what_says_where_the_cluster_is_has_an_order(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": str(kubeconfig)}
    block = {"config": {"clusters": []}, "context_name": "staging"}
    assert access_of(block, pod).context == "staging"
    assert access_of(None, pod) == Access()
    assert access_of(None, {"KUBECONFIG": str(kubeconfig)}) == Access(files=str(kubeconfig))
    with pytest.raises(ConfigurationError, match="no-such-file") as told:
        access_of(None, {"KUBECONFIG": str(tmp_path / "no-such-file")})
    assert "cluster_config" in (told.value.hint or "")


def test_clusters_differ_by_their_address_and_by_their_authority() -> None:
    ids = {cluster_id(host, ca) for host in ("https://a:6443", "https://b:6443") for ca in (b"one", b"two")}
    assert len(ids) == 4
    assert cluster_id("https://A:6443/", b"one\n") == cluster_id("https://a:6443", b"one")


def test_a_cluster_has_the_name_that_the_agent_is_told(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_KUBERNETES_CLUSTER_ID", "production")

    async def question(driver: KubernetesDriver) -> None:
        assert await driver.reach(KubernetesJob(namespace=namespace)) == f"kubernetes:production/{namespace}"

    ask(cluster.kubeconfig, namespace, question)
