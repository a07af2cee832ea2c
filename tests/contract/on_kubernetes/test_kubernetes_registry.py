"""Images of a registry that lets nobody in without a login: what becomes of jobs with the right one, a wrong one, none."""

from collections.abc import Iterator

import docker_engine
import pytest
from docker_registry import Registry
from kubernetes_cluster import Cluster

from penstock.infrastructure.kubernetes import KubernetesJob
from penstock.infrastructure.kubernetes import driver as driver_module
from penstock.infrastructure.kubernetes.driver import KubernetesDriver
from penstock.infrastructure.kubernetes.verdicts import end_of
from penstock.model.attempts import Observation
from penstock.model.reasons import Phase, Reason

from .kubernetes_jobs import a_job, ask, findings, request, until

USER, PASSWORD = "alice", "alices-secret"
LOGINS = {"right": PASSWORD, "wrong": "somebody-elses"}


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with docker_engine.registry({USER: PASSWORD}) as running:
        yield running


@pytest.fixture(scope="module")
def image(registry: Registry) -> str:
    """The name of an image in it."""
    with docker_engine.engine().client() as client:
        return registry.push(client, docker_engine.busybox_image(), "team/busybox:1")


@pytest.fixture
def logins(cluster: Cluster, namespace: str, registry: Registry) -> None:
    """Secrets with which a node logs in there, by what the password in them is."""
    for name, password in LOGINS.items():
        shown = (f"--docker-server={registry.address}", f"--docker-username={USER}", f"--docker-password={password}")
        cluster.kubectl("-n", namespace, "create", "secret", "docker-registry", name, *shown)


def _is_over_or_stopped(seen: Observation) -> bool:
    return seen.status == "ENDED" or (seen.message or "").startswith("It is being stopped: ")


def test_the_right_login_runs_and_the_registrys_words_are_told_of_others(
    cluster: Cluster, namespace: str, image: str, logins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "HOPELESS_SECONDS", 0.5)

    async def question(driver: KubernetesDriver) -> None:
        # always asked for: a node that has an image once gives it to everybody
        fields = {"image": image, "image_pull_policy": "Always"}
        started = {
            login: await driver.start(
                request(namespace, a_job("true"), image_pull_secrets=[login] if login else [], **fields)
            )
            for login in ("right", "wrong", "")
        }
        for login in ("wrong", ""):
            seen = await until(driver, started[login], _is_over_or_stopped)
            end = seen.exit or end_of(cluster.get("job", started[login].data["name"], "-n", namespace))
            assert end is not None
            assert end.reason is Reason.IMAGE_NOT_PERMITTED, (login, end)
            assert seen.phase in (Phase.IMAGE, None), seen
            assert image in (end.message or ""), end
            assert "401 Unauthorized" in (end.message or "") or "no basic auth" in (end.message or ""), end
            assert not any(password in str(seen) + str(end) for password in LOGINS.values())
        seen = await until(driver, started["right"], lambda seen: seen.status == "ENDED")
        assert (seen.exit and seen.exit.code) == 0, seen

    ask(cluster.kubeconfig, namespace, question)


def test_a_check_tells_that_the_registry_lets_nobody_in_like_that(
    cluster: Cluster, namespace: str, image: str, logins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nobody is asked: no pod comes that far
    monkeypatch.setenv("PENSTOCK_API_URL", "http://api.example.invalid/api")
    for login in ("wrong", ""):
        config = KubernetesJob(
            image=image,
            image_pull_policy="Always",
            namespace=namespace,
            image_pull_secrets=[login] if login else [],
        )
        (told,) = [each for each in findings(cluster.kubeconfig, config) if not each.ok]
        assert f"the pod waits for image {image}" in told.said
        assert "image_pull_secrets" in told.fix, told
    assert cluster.get("jobs", "-n", namespace)["items"] == []
