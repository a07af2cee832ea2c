"""What the API server would refuse of a Job, or drop without a word, is refused where it is written: with the place, and
with what is right."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes_schema import kinds_of
from pydantic import ValidationError

from penstock.infrastructure import KubernetesJob
from penstock.infrastructure.kubernetes import fields
from penstock.infrastructure.registry import render
from penstock.infrastructure.sample import sample_job
from penstock.model.base import JSONObject

JOB = sample_job("http://penstock.example.org/api", {})
POD = "/spec/template/spec"
CONTAINER = f"{POD}/containers/0"
AT_POD, AT_CONTAINER = "spec.template.spec", "spec.template.spec.containers[0]"
LONG = "x" * 64
NODES = {"matchExpressions": [{"key": "zone", "operator": "IN", "values": ["a"]}]}


def made(fields: dict[str, Any]) -> KubernetesJob:
    return KubernetesJob(image="flows:1", **copy.deepcopy(fields))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        # kinds of values
        ("/spec/suspend", "yes", "spec.suspend is 'yes'; it has to be true or false"),
        ("/spec/ttlSecondsAfterFinished", "soon", "spec.ttlSecondsAfterFinished is 'soon'; it has to be a whole number"),
        ("/spec/ttlSecondsAfterFinished", -1, "spec.ttlSecondsAfterFinished is -1; it has to be at least 0"),
        ("/spec/activeDeadlineSeconds", 0, "it has to be at least 1"),
        ("/spec/completions", "1", "completions is '1'; a flow run is one pod"),
        (f"{POD}/terminationGracePeriodSeconds", -5, "it has to be at least 0"),
        (f"{POD}/hostNetwork", "true", f"{AT_POD}.hostNetwork is 'true'; it has to be true or false"),
        (f"{POD}/priorityClassName", 5, "it has to be a text, such as '5'"),
        (f"{POD}/nodeSelector", "fast", "it has to be a mapping"),
        (f"{POD}/imagePullSecrets", ["login"], f"{AT_POD}.imagePullSecrets[0] is 'login'; it has to be a mapping"),
        (f"{POD}/imagePullSecrets", "login", "it has to be a list"),
        (f"{POD}/tolerations", {"operator": "Exists"}, f"{AT_POD}.tolerations is"),
        (f"{CONTAINER}/command", "python -m x", f"{AT_CONTAINER}.command is 'python -m x'; it has to be a list"),
        (f"{CONTAINER}/args", ["a", 1], f"{AT_CONTAINER}.args[1] is 1; it has to be a text, such as '1'"),
        (f"{CONTAINER}/securityContext", {"runAsUser": "root"}, "runAsUser is 'root'; it has to be a whole number"),
        ("/metadata/labels/team", 5, "metadata.labels.team is 5; it has to be a text, such as '5'"),
        ("/metadata/annotations/on", True, "metadata.annotations.on is True; it has to be a text, such as 'true'"),
        (f"{CONTAINER}/env/-", {"name": "A", "value": 1}, ".value is 1; it has to be a text, such as '1'"),
        # words
        (f"{CONTAINER}/imagePullPolicy", "IfNotPresnt", f"{AT_CONTAINER}.imagePullPolicy is 'IfNotPresnt'. Did you mean 'IfNotPresent'"),
        (f"{POD}/tolerations", [{"key": "a", "operator": "Exist"}], "Did you mean 'Exists'"),
        (f"{POD}/affinity", {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODES]}}}, "Did you mean 'In'"),
        # names
        (f"{POD}/affinity", {"nodeAfinity": {}}, f"no 'nodeAfinity' in {AT_POD}.affinity. Did you mean 'nodeAffinity'"),
        (f"{POD}/affinity", {"nodeAffinity": {"requiredDuringScheduling": {}}}, "Did you mean 'requiredDuringSchedulingIgnoredDuringExecution'"),
        (f"{CONTAINER}/resources", {"limits": {"memroy": "2Gi"}}, "no resource 'memroy'. Did you mean 'memory'"),
        (f"{CONTAINER}/resources", {"limits": {"gpu": 1}}, "others with a domain, such as nvidia.com/gpu"),
        ("/metadata/labels/team", LONG, "no label of Kubernetes can be"),
        ("/metadata/labels/a b", "x", "metadata.labels: 'a b' is no key"),
        ("/spec/template/metadata/labels/team", LONG, "spec.template.metadata.labels: team is"),
        (f"{POD}/nodeSelector", {"disk": LONG}, f"{AT_POD}.nodeSelector: disk is"),
        (f"{CONTAINER}/name", "Not Valid", f"{AT_CONTAINER}.name is 'Not Valid'"),
        ("/metadata/annotations/example.org/team", "x", "written ~1: /metadata/annotations/example.org~1team"),
        # amounts
        (f"{CONTAINER}/resources", {"requests": {"memory": "2GB"}}, f"{AT_CONTAINER}.resources.requests.memory: '2GB' is no amount"),
        (f"{CONTAINER}/resources", {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "requests.cpu is 2, more than its limit, 1"),
        # what is there twice, or not at all
        (f"{CONTAINER}/env/-", {"name": "OWN", "value": "2"}, "the variable 'OWN' is set twice"),
        (f"{CONTAINER}/env/-", {"value": "1"}, "has no name: a variable is"),
        (f"{CONTAINER}/env/-", {"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, "it takes one of them"),
        (f"{POD}/containers/-", {"name": "penstock-job", "image": "x:1"}, "there is a container 'penstock-job' already"),
        (f"{POD}/containers/-", {"name": "proxy", "image": "x y"}, f"{AT_POD}.containers[1].image: 'x y' names no image"),
        (f"{POD}/volumes/-", {"name": "cache", "emptyDir": {}, "nfs": {}}, "'cache' needs one source"),
        (f"{CONTAINER}/volumeMounts/-", {"name": "date", "mountPath": "/data"}, "Did you mean 'data'"),
        # what is Penstock's own
        (CONTAINER, {"name": "proxy", "image": "x:1"}, "has to be the first; add others after it"),
        (f"{CONTAINER}/env", [{"name": "A", "value": "1"}], "add one with /spec/template/spec/containers/0/env/-"),
        (f"{CONTAINER}/volumeMounts", [], "where the flow run finds its token"),
        (f"{POD}/volumes", [{"name": "data", "emptyDir": {}}], "where the flow run finds its token"),
        ("/metadata/name", "mine", "by which the Job is found again"),
        ("/metadata/labels", {"team": "data"}, "by which the Job is found again"),
    ],
)  # fmt: skip
def test_a_patch_to_what_cannot_be_is_refused(path: str, value: Any, said: str) -> None:
    patch = {"op": "add", "path": path, "value": value}
    with pytest.raises(ValidationError) as refused:
        made({"customizations": [patch], "env": {"OWN": "1"}, "volumes": [{"name": "data", "emptyDir": {}}]})
    assert said in str(refused.value)
    assert "customizations" in str(refused.value)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("metadata.labels", {"team": LONG}, "metadata.labels: team is"),
        ("spec.ttlSecondsAfterFinished", -1, "it has to be at least 0"),
        ("spec.template.spec.containers.0.resources", {"limits": {"memory": "2GB"}}, "'2GB' is no amount"),
        ("spec.template.spec.containers.0.env", [{"name": "A"}, {"name": "A"}], "is set twice"),
        ("spec.template.spec.volumes", [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}], "is there twice"),
        ("spec.template.spec.tolerations", [{"key": "a", "effect": "NoShedule"}], "Did you mean 'NoSchedule'"),
    ],
)  # fmt: skip
def test_the_same_holds_for_the_manifest(place: str, value: Any, said: str) -> None:
    job = KubernetesJob.base_job_manifest()
    *above, last = place.split(".")
    target: Any = job
    for part in above:
        target = target[int(part)] if part.isdigit() else target[part]
    target[last] = value
    with pytest.raises(ValidationError) as refused:
        made({"job": job})
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "customizations",
    [
        # a patch may name what the next one brings
        [
            {"op": "add", "path": f"{CONTAINER}/volumeMounts/-", "value": {"name": "data", "mountPath": "/data"}},
            {"op": "add", "path": f"{POD}/volumes/-", "value": {"name": "data", "emptyDir": {}}},
        ],
        # what Kubernetes fills in
        [{"spec": {"template": {"spec": {"volumes": [{"name": "data"}]}}}}],
        # what a newer Kubernetes may have
        [{"op": "add", "path": f"{POD}/quantumScheduling", "value": {"spin": 1}}],
        [{"op": "add", "path": f"{POD}/tolerations", "value": [{"key": "a", "operator": "Exists", "effect": "${env:EFFECT}"}]}],
        [{"op": "add", "path": f"{POD}/dnsPolicy", "value": "Quantum"}],
        [{"op": "add", "path": f"{CONTAINER}/imagePullPolicy", "value": "Sometimes"}],
        # null takes a member away, and says nothing
        [{"op": "add", "path": f"{POD}/hostNetwork", "value": None}],
        [{"op": "replace", "path": f"{CONTAINER}/name", "value": "mine"}],
    ],
)  # fmt: skip
def test_what_may_be_right_is_left_to_kubernetes(customizations: Any) -> None:
    render(made({"customizations": customizations}), JOB)


@pytest.mark.parametrize(
    ("written", "sent"), [("4gi", "4Gi"), ("512MI", "512Mi"), ("1.5ki", "1.5Ki"), ("4G", "4G"), (2, "2")]
)
def test_amounts_are_sent_in_kubernetes_spelling_wherever_they_are_written(written: Any, sent: str) -> None:
    resources = {"requests": {"memory": written}}
    job = KubernetesJob.base_job_manifest()
    job["spec"]["template"]["spec"]["containers"][0]["resources"] = resources
    patch = [{"op": "add", "path": f"{CONTAINER}/resources", "value": resources}]
    for written_in in ({"resources": resources}, {"job": job}, {"customizations": patch}):
        (container,) = render(made(written_in), JOB)["job"]["spec"]["template"]["spec"]["containers"]
        assert container["resources"] == {"requests": {"memory": sent}}


# --- kinds that are known

#: Kubernetes's kinds of values, as places tell them.
PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "list[str]": "array", "dict(str, str)": "object"}
#: Counts in the pod's spec, which are moved to where Kubernetes reads them.
MOVED = {"parallelism", "completions"}


def _told(place: JSONObject, kind: str, where: str) -> Iterator[tuple[str, str, str]]:
    """Every place that says what belongs there: where it is, what Kubernetes has there, what is said."""
    for name, theirs in kinds_of(kind).items():
        part = place["properties"].get(name, {})
        item = re.fullmatch(r"list\[(V\d\w+)\]", theirs)
        if part.get("type") and not item and not theirs.startswith("V"):
            yield f"{where}.{name}", PLAIN.get(theirs, theirs), part["type"]
        elif item and part.get("items"):
            yield f"{where}.{name}", "array", part["type"]
            yield from _told(part["items"], item[1], f"{where}.{name}")
        elif theirs.startswith("V") and "properties" in part:
            yield from _told(part, theirs, f"{where}.{name}")
    for name in {*place["properties"]} - {*kinds_of(kind)} - MOVED:
        yield f"{where}.{name}", "nothing", name


def test_the_kinds_of_values_are_those_of_kubernetes() -> None:
    told = [*_told(fields.JOB, "V1Job", "job")]
    assert [each for each in told if each[1] != each[2]] == []
    assert len(told) > 250
