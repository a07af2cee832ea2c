"""What the parts of a Job's manifest have to be to each other: things called once, and by names that there are. Pure.

Raises ValueError that names the place. Names and kinds of values are `fields`' concern, and are right already.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.infrastructure.images import check_image
from penstock.infrastructure.kubernetes import names, pod_fields
from penstock.infrastructure.kubernetes.quantities import check_resources, read_resources
from penstock.model.base import JSONObject

_POD = "spec.template.spec"


def check_consistency(job: JSONObject) -> None:
    """Raise ValueError for what the API server would refuse of a Job whose places all hold the right kind of value."""
    pod = job["spec"]["template"]["spec"]
    for metadata, place in ((job.get("metadata"), "metadata"), (job["spec"]["template"].get("metadata"), "spec.template.metadata")):  # fmt: skip
        names.check_marks((metadata or {}).get("labels") or {}, f"{place}.labels", values=True)
        names.check_marks((metadata or {}).get("annotations") or {}, f"{place}.annotations", values=False)
    names.check_marks(pod.get("nodeSelector") or {}, f"{_POD}.nodeSelector", values=True)
    pod_fields.check_tolerations(_items(pod.get("tolerations")), f"{_POD}.tolerations")
    pod_fields.check_volumes(_items(pod.get("volumes")), f"{_POD}.volumes", of_manifest=True)
    volumes = [str(volume["name"]) for volume in _items(pod.get("volumes"))]
    seen: set[str] = set()
    for place, container in containers_of(pod):
        _check_name(container, place, seen)
        _check_variables(_items(container.get("env")), f"{place}.env")
        if container.get("image"):
            _check_image(str(container["image"]), place)
        check_resources(read_resources(container.get("resources") or {}), f"{place}.resources")
        pod_fields.check_mounts(
            _items(container.get("volumeMounts")), volumes, f"{place}.volumeMounts", of_manifest=True
        )


def containers_of(pod: JSONObject) -> Iterator[tuple[str, JSONObject]]:
    """The containers of a pod, each with its place in the manifest."""
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(pod.get(kind) or ()):
            yield f"{_POD}.{kind}[{index}]", container


def _items(found: Any) -> Sequence[JSONObject]:
    return [item for item in found or () if item is not None]


def _check_name(container: JSONObject, place: str, seen: set[str]) -> None:
    name = container.get("name")
    if name is None:
        return  # the flow run's container gets one
    names.check_label(name, f"{place}.name", "a container's name")
    if name in seen:
        raise ValueError(f"{place}: there is a container {name!r} already; give this one another name.")
    seen.add(name)


def _check_image(image: str, place: str) -> None:
    if not holds_reference(image):
        try:
            check_image(image)
        except ValueError as error:
            raise ValueError(f"{place}.image: {error}") from None


def _check_variables(variables: Sequence[JSONObject], place: str) -> None:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            raise ValueError(f"{place}[{index}] has no name: a variable is {{name: …, value: …}}.")
        names.check_variables([name], f"{place}[{index}]")
        if name in seen:
            raise ValueError(
                f"{place}[{index}]: the variable {name!r} is set twice; leave it in one place, or replace its value."
            )
        seen.add(name)
        if variable.get("value") and variable.get("valueFrom"):
            raise ValueError(f"{place}[{index}]: {name} has a value and a valueFrom; it takes one of them.")
