"""What is rendered for Kubernetes: objects that it knows, names that it takes, and nothing secret where many can read."""

import json
import re
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes_blocks import ANY_TEXT, TEXTS, blocks
from kubernetes_schema import check_object, members_of
from pydantic import SecretStr

from penstock.infrastructure import KubernetesJob
from penstock.infrastructure.base import Job
from penstock.infrastructure.kubernetes import fields
from penstock.infrastructure.kubernetes.literals import quoted, unquoted
from penstock.infrastructure.kubernetes.render import LABELS_ANNOTATION, NAME_ANNOTATION
from penstock.infrastructure.kubernetes.render import render as render_kubernetes
from penstock.infrastructure.names import job_name
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job
from penstock.infrastructure.shown import shown

JOB = sample_job("http://penstock.example.org/api", {})
#: As the API server has them.
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
PATIENT = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def _pod(found: Any) -> Any:
    return found["job"]["spec"]["template"]["spec"]


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return (
        (not slash or (len(prefix) <= 253 and SUBDOMAIN.fullmatch(prefix) is not None))
        and len(name) <= 63
        and NAME_PART.fullmatch(name) is not None
    )


def _plain(secret: dict[str, Any]) -> dict[str, Any]:
    return {**secret, "stringData": {key: value.get_secret_value() for key, value in secret["stringData"].items()}}


@PATIENT
@given(block=blocks())
def test_whatever_a_block_says_the_objects_have_no_member_that_kubernetes_does_not_know(block: KubernetesJob) -> None:
    found = render(block, JOB)
    check_object(found["job"])
    check_object(_plain(found["secret"]))
    assert json.loads(json.dumps(found["job"])) == found["job"]


@PATIENT
@given(block=blocks())
def test_nothing_empty_is_sent(block: KubernetesJob) -> None:
    found = render(block, JOB)
    pod = _pod(found)
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "securityContext", "priorityClassName"):
        assert pod.get(name, "something") not in (None, "", [], {})
    for name in ("resources", "envFrom", "securityContext", "imagePullPolicy"):
        assert pod["containers"][0].get(name, "something") not in (None, "", [], {})
    for item in pod.get("imagePullSecrets", []):
        assert item["name"]


@PATIENT
@given(title=ANY_TEXT, labels=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=5))
def test_any_name_and_any_labels_are_taken_stay_apart_and_can_be_read_back(title: str, labels: dict[str, str]) -> None:
    attempt = uuid4()
    job = replace(JOB, title=title, name=job_name(title, attempt), attempt_id=attempt)
    found = render(KubernetesJob(image="flows:1", labels=labels), job)
    metadata = found["job"]["metadata"]
    assert len(metadata["name"]) <= 63
    assert DNS_LABEL.fullmatch(metadata["name"])
    assert attempt.hex in metadata["name"]
    for marks in (metadata["labels"], found["job"]["spec"]["template"]["metadata"]["labels"]):
        assert all(_is_key(key) and len(value) <= 63 and LABEL_VALUE.fullmatch(value) for key, value in marks.items())
    assert all(_is_key(key) for key in metadata["annotations"])
    assert metadata["annotations"][NAME_ANNOTATION] == title
    told = json.loads(metadata["annotations"].get(LABELS_ANNOTATION, "{}"))
    ours = {key: value for key, value in metadata["annotations"].items() if key in {**labels, **job.labels}}
    assert {**metadata["labels"], **told, **ours}.items() >= {**job.labels, **labels, **_found_by(job)}.items()
    # each label that has letters at all is a label of its own
    with_name = [key for key in {**job.labels, **labels} if re.search(r"[a-z0-9]", key.rpartition("/")[2].lower())]
    assert len(metadata["labels"]) >= len(with_name)


def _found_by(job: Job) -> dict[str, str]:
    return {key: job.labels[key] for key in ("penstock.io/owner", "penstock.io/attempt-id", "penstock.io/flow-run-id")}


def test_labels_that_become_one_are_told_apart_whatever_their_order() -> None:
    labels = {"Team Name": "a", "team-name": "b", "team name": "c"}
    one, other = (
        render(KubernetesJob(image="flows:1", labels=dict(items)), JOB)["job"]["metadata"]["labels"]
        for items in ([*labels.items()], reversed(labels.items()))
    )
    assert one == other
    assert one["team-name"] == "b"
    assert sorted(value for key, value in one.items() if key.startswith("team-name")) == ["a", "b", "c"]


def test_no_block_takes_away_the_labels_that_its_job_is_found_by() -> None:
    found = render(KubernetesJob(image="flows:1", labels={"penstock.io/owner": "me", "Penstock.io/Owner": "I"}), JOB)
    assert found["job"]["metadata"]["labels"]["penstock.io/owner"] == JOB.owner


@given(text=st.text(st.sampled_from("$(){}ab"), max_size=12))
def test_dollars_of_a_block_are_read_as_they_are(text: str) -> None:
    assert _as_kubernetes_reads(quoted(text), {"a": "x", "": "y", "ab": "z"}) == text
    assert unquoted(quoted(text)) == text


def _as_kubernetes_reads(text: str, variables: dict[str, str]) -> str:
    """The syntax of `$(NAME)`, read from left to right."""
    found, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            found, at = found + text[at], at + 1
        elif text[at + 1] == "$":
            found, at = found + "$", at + 2
        elif text[at + 1] == "(" and ")" in text[at:]:
            name = text[at + 2 : text.index(")", at)]
            found, at = found + variables.get(name, f"$({name})"), text.index(")", at) + 1
        else:
            found, at = found + text[at : at + 2], at + 2
    return found


@PATIENT
@given(password=TEXTS.filter(lambda text: len(text) > 3 and "${" not in text))
def test_variables_that_are_named_like_secrets_are_in_the_secret_and_nowhere_else(password: str) -> None:
    planted = f"hunter2{password}"
    block = KubernetesJob(
        image="flows:1",
        env={"DB_PASSWORD": planted, "LEVEL": "debug"},
        customizations=[{"spec": {"template": {"spec": {"initContainers": [{"name": "first", "image": "x:1", "env": [{"name": "API_KEY", "value": "hunter2"}]}]}}}}],
    )  # fmt: skip
    found = render(block, replace(JOB, secret_env={"PENSTOCK__ATTEMPT_TOKEN": "hunter2-token"}))
    assert "hunter2" not in json.dumps(found["job"])
    assert "hunter2" not in json.dumps(shown(found))
    data = _plain(found["secret"])["stringData"]
    assert data == {"token": "hunter2-token", "DB_PASSWORD": planted, "API_KEY": "hunter2"}
    env = {item["name"]: item for item in _pod(found)["containers"][0]["env"]}
    assert env["DB_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": JOB.name, "key": "DB_PASSWORD"}
    assert env["LEVEL"]["value"] == "debug"


def test_equal_names_with_other_values_have_keys_of_their_own_in_the_secret() -> None:
    job = KubernetesJob.base_job_manifest()
    job["spec"]["template"]["spec"]["containers"].append(
        {"name": "beside", "image": "x:1", "env": [{"name": "TOKEN", "value": "two"}, {"name": "KEY", "value": "one"}]}
    )
    found = render(KubernetesJob(image="flows:1", job=job, env={"TOKEN": "one"}), JOB)
    beside = {item["name"]: item["valueFrom"]["secretKeyRef"]["key"] for item in _pod(found)["containers"][1]["env"]}
    data = _plain(found["secret"])["stringData"]
    assert (data["TOKEN"], data[beside["TOKEN"]], data[beside["KEY"]]) == ("one", "two", "one")


def test_a_secret_of_a_manifest_that_is_made_of_other_variables_stays_for_kubernetes_to_put_together() -> None:
    job = KubernetesJob.base_job_manifest()
    made = {"name": "DB_KEY", "value": "$(PREFIX)-1"}
    job["spec"]["template"]["spec"]["containers"][0]["env"] = [made]
    found = render(KubernetesJob(image="flows:1", job=job), JOB)
    assert made in _pod(found)["containers"][0]["env"]


def test_an_empty_login_to_a_registry_is_dropped() -> None:
    job = KubernetesJob.base_job_manifest()
    job["spec"]["template"]["spec"]["imagePullSecrets"] = [{}, {"name": ""}]
    assert "imagePullSecrets" not in _pod(render(KubernetesJob(image="flows:1", job=job), JOB))
    one = _pod(render(KubernetesJob(image="flows:1", job=job, image_pull_secrets=["login"]), JOB))
    assert one["imagePullSecrets"] == [{"name": "login"}]


def test_a_job_that_was_rendered_before_can_be_the_manifest_of_others() -> None:
    block = KubernetesJob(image="flows:1", volumes=[{"name": "data", "emptyDir": {}}], env={"LEVEL": "1"})
    first = render(block, JOB)["job"]
    again = render(KubernetesJob(image="flows:1", job=first, env={"LEVEL": "1"}), JOB)["job"]
    assert again == first


# --- limits, and whose retries


@pytest.mark.parametrize(
    ("said", "of_the_job", "of_the_pod"),
    [
        ({}, None, None),
        ({"run_timeout": 100}, 600 + 100 + 30 + 60, None),
        ({"job_watch_timeout_seconds": 100, "start_timeout": 20}, 20 + 100 + 30 + 60, None),
        ({"run_timeout": 100, "start_timeout": None}, None, 600 + 100 + 30 + 60),
        ({"run_timeout": 100, "grace_seconds": 5, "cancel_timeout": 7}, 600 + 100 + 5 + 7, None),
    ],
)
def test_kubernetes_ends_a_job_on_its_own_only_after_the_server_would_have(
    said: dict[str, Any], of_the_job: int | None, of_the_pod: int | None
) -> None:
    spec = render(KubernetesJob(image="flows:1", **said), JOB)["job"]["spec"]
    assert spec.get("activeDeadlineSeconds") == of_the_job
    assert spec["template"]["spec"].get("activeDeadlineSeconds") == of_the_pod


def test_a_deadline_and_a_grace_of_the_manifest_hold_and_the_agent_knows_of_the_grace() -> None:
    job = KubernetesJob.base_job_manifest()
    job["spec"]["activeDeadlineSeconds"] = 11
    job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 120
    block = KubernetesJob(image="flows:1", job=job, run_timeout=5)
    spec = render(block, JOB)["job"]["spec"]
    assert (spec["activeDeadlineSeconds"], spec["template"]["spec"]["terminationGracePeriodSeconds"]) == (11, 120)
    assert block.limits().grace == 120
    own = KubernetesJob(image="flows:1", job=job, grace_seconds=7)
    assert (own.limits().grace, _pod(render(own, JOB))["terminationGracePeriodSeconds"]) == (7, 7)


@pytest.mark.parametrize(("said", "sent"), [(0, 60), (59, 60), (60, 60), (300, 300)])
def test_an_ended_job_stays_until_its_verdict_can_be_read(said: int, sent: int) -> None:
    found = render(KubernetesJob(image="flows:1", finished_job_ttl=said), JOB)
    assert found["job"]["spec"]["ttlSecondsAfterFinished"] == sent
    patch = [{"op": "add", "path": "/spec/ttlSecondsAfterFinished", "value": said}]
    patched = render(KubernetesJob(image="flows:1", customizations=patch), JOB)
    assert patched["job"]["spec"]["ttlSecondsAfterFinished"] == sent


def test_kubernetes_starts_nothing_again_and_says_when_it_took_the_node_away() -> None:
    spec = render(KubernetesJob(image="flows:1"), JOB)["job"]["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onPodConditions"][0]["type"]) == ("FailJob", "DisruptionTarget")


def test_who_turns_kubernetess_retries_on_gets_them_without_our_policy() -> None:
    job = KubernetesJob.base_job_manifest()
    job["spec"]["backoffLimit"] = 3
    spec = render(KubernetesJob(image="flows:1", job=job), JOB)["job"]["spec"]
    assert spec["backoffLimit"] == 3
    assert "podFailurePolicy" not in spec


def test_the_driver_is_told_where_and_what() -> None:
    job = KubernetesJob.base_job_manifest()
    job["metadata"]["namespace"] = "flows"
    job["spec"]["template"]["spec"]["containers"][0]["name"] = "mine"
    found = render_kubernetes(KubernetesJob(image="flows:1", job=job), JOB)
    assert [*found] == ["namespace", "secret", "job"]
    assert (found["namespace"], _pod(found)["containers"][0]["name"]) == ("flows", "mine")
    assert found["secret"]["metadata"]["namespace"] == "flows"
    assert isinstance(found["secret"]["stringData"]["token"], SecretStr)
    assert render(KubernetesJob(image="flows:1"), replace(JOB, attempt_id=UUID(int=1))) is not None


# --- names that are known


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (fields.JOB, "V1Job"),
        (fields.JOB["properties"]["metadata"], "V1ObjectMeta"),
        (fields.JOB["properties"]["spec"], "V1JobSpec"),
        (fields.JOB["properties"]["spec"]["properties"]["template"]["properties"]["spec"], "V1PodSpec"),
        (fields.CONTAINER, "V1Container"),
        (fields.RESOURCES, "V1ResourceRequirements"),
        (fields.SECURITY_CONTEXT, "V1SecurityContext"),
        (fields.POD_SECURITY_CONTEXT, "V1PodSecurityContext"),
        (fields.TOLERATION, "V1Toleration"),
        (fields.AFFINITY, "V1Affinity"),
        (fields.VOLUME, "V1Volume"),
        (fields.VOLUME_MOUNT, "V1VolumeMount"),
    ],
)
def test_the_names_that_are_told_apart_from_slips_are_those_of_kubernetes(place: dict[str, Any], kind: str) -> None:
    moved = {"parallelism", "completions"} if kind == "V1PodSpec" else set()
    assert set(place["properties"]) - moved == members_of(kind)
