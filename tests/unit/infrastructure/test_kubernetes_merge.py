"""Strategic merge patches of a Job's manifest: what comes out, and what is refused."""

import copy
from typing import Any

import pytest

from penstock.infrastructure import KubernetesJob
from penstock.infrastructure.kubernetes.merge import check_merge, merged

JOB: dict[str, Any] = {
    "metadata": {"labels": {"team": "data", "env": "prod"}, "finalizers": ["a"]},
    "spec": {
        "backoffLimit": 0,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "x:1",
                        "args": ["a", "b"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "ports": [{"containerPort": 80, "name": "web"}],
                        "volumeMounts": [{"mountPath": "/a", "name": "one"}],
                    },
                    {"name": "beside", "image": "y:1"},
                ],
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "login"}],
                "volumes": [{"name": "one", "emptyDir": {}}, {"name": "two", "emptyDir": {}}],
                "nodeSelector": {"disk": "slow"},
            }
        },
    },
}


def pod(patch: dict[str, Any]) -> Any:
    return merged(JOB, {"spec": {"template": {"spec": patch}}})["spec"]["template"]["spec"]


def main(patch: dict[str, Any]) -> Any:
    return pod({"containers": [{"name": "main", **patch}]})["containers"][0]


def test_what_is_merged_stays_as_it_was() -> None:
    before = copy.deepcopy(JOB)
    merged(JOB, {"metadata": {"labels": {"team": "x"}}, "spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "9"}]}]}}}})  # fmt: skip
    assert before == JOB


def test_mappings_are_merged_and_null_takes_a_member_away() -> None:
    found = merged(JOB, {"metadata": {"labels": {"team": None, "new": "x"}}, "spec": {"backoffLimit": None}})
    assert found["metadata"]["labels"] == {"env": "prod", "new": "x"}
    assert "backoffLimit" not in found["spec"]


def test_items_are_found_by_what_kubernetes_tells_them_apart_by() -> None:
    assert main({"env": [{"name": "B", "value": "9"}, {"name": "C", "value": "3"}]})["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "9"},
        {"name": "C", "value": "3"},
    ]
    assert main({"ports": [{"containerPort": 80, "protocol": "TCP"}]})["ports"] == [
        {"containerPort": 80, "name": "web", "protocol": "TCP"}
    ]
    assert main({"volumeMounts": [{"mountPath": "/a", "readOnly": True}]})["volumeMounts"] == [
        {"mountPath": "/a", "name": "one", "readOnly": True}
    ]
    assert [item["name"] for item in pod({"imagePullSecrets": [{"name": "other"}]})["imagePullSecrets"]] == [
        "login",
        "other",
    ]
    assert [item["name"] for item in pod({"containers": [{"name": "third", "image": "z:1"}]})["containers"]] == [
        "main",
        "beside",
        "third",
    ]


def test_other_lists_are_replaced_and_finalizers_united() -> None:
    assert main({"args": ["c"]})["args"] == ["c"]
    assert pod({"tolerations": [{"operator": "Exists"}]})["tolerations"] == [{"operator": "Exists"}]
    assert merged(JOB, {"metadata": {"finalizers": ["b", "a"]}})["metadata"]["finalizers"] == ["a", "b"]


def test_directives_delete_replace_and_retain() -> None:
    deleted = pod({"volumes": [{"name": "one", "$patch": "delete"}]})
    assert [volume["name"] for volume in deleted["volumes"]] == ["two"]
    assert pod({"volumes": [{"$patch": "replace"}, {"name": "x", "emptyDir": {}}]})["volumes"] == [
        {"name": "x", "emptyDir": {}}
    ]
    assert pod({"nodeSelector": {"$patch": "replace", "zone": "a"}})["nodeSelector"] == {"zone": "a"}
    secret = {"name": "one", "secret": {"secretName": "s"}, "$retainKeys": ["name", "secret"]}
    assert pod({"volumes": [secret]})["volumes"][0] == {"name": "one", "secret": {"secretName": "s"}}
    assert "env" not in main({"env": None})


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"spec": {"template": {"spec": {"containers": {"name": "main"}}}}}, r"spec\.template\.spec\.containers is a list"),
        ({"spec": {"template": {"spec": {"containers": [{"env": []}]}}}}, r"containers\[0\] has no 'name'"),
        ({"spec": {"template": {"spec": {"containers": ["x"]}}}}, r"containers\[0\] is no mapping"),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": {"A": "1"}}]}}}},
            r"containers\[0\]\.env is a list",
        ),
        ({"spec": {"template": {"spec": {"volumes": [{"emptyDir": {}}]}}}}, r"volumes\[0\] has no 'name'"),
        (
            {"spec": {"template": {"spec": {"containers": [{"name": "main", "volumeMounts": [{"name": "one"}]}]}}}},
            r"volumeMounts\[0\] has no 'mountPath'",
        ),
        ({"spec": {"$patch": "remove"}}, r"\$patch is 'remove'; it is one of delete, merge, replace"),
        ({"spec": {"$patsh": "delete"}}, r"there is no '\$patsh'. Did you mean '\$patch'"),
        ({"spec": {"$retainKeys": "template"}}, r"\$retainKeys is a list"),
    ],
)  # fmt: skip
def test_a_patch_that_finds_nothing_is_refused_with_its_place(patch: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_merge(patch, "here")


def test_a_label_may_be_called_like_a_list() -> None:
    check_merge({"metadata": {"labels": {"env": "prod", "volumes": "none"}}}, "here")


def test_a_patch_that_changes_nothing_leaves_the_base_manifest_as_it_is() -> None:
    job = KubernetesJob.base_job_manifest()
    assert merged(job, {}) == job
    assert merged(job, job) == job
