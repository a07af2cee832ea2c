"""What the block's fields that have a place in the manifest may be: checked where they are written. Pure.

All raise ValueError that names the field, its item, and what it takes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.blocks.extras import holds_reference
from penstock.errors import did_you_mean
from penstock.infrastructure.containers import TOKEN_FILE
from penstock.infrastructure.kubernetes import fields, names
from penstock.model.base import JSONObject

#: The volume that Penstock adds itself.
TOKEN_VOLUME = "penstock-token"
_TOKEN_FOLDER = TOKEN_FILE.rpartition("/")[0]


def check_volumes(volumes: Sequence[Mapping[str, Any]], where: str = "volumes", of_manifest: bool = False) -> None:
    """Raise ValueError for volumes without a name, with a name twice, or with other than one source.

    `of_manifest`: Penstock's own may be among them, and one without a source is a folder, as Kubernetes has it.
    """
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        place = f"{where}[{index}]"
        check_slips(volume, fields.VOLUME, place)
        name = volume.get("name")
        if not isinstance(name, str):
            raise ValueError(f"{place} has no name.")
        names.check_label(name, f"{place}.name", "a volume's name")
        if (name == TOKEN_VOLUME and not of_manifest) or name in seen:
            whose = "is there twice" if name in seen else "is Penstock's own"
            raise ValueError(f"{place}: the name {name!r} {whose}.")
        seen.add(name)
        sources = [source for source in volume if source != "name"]
        if len(sources) != 1 and not (of_manifest and not sources):
            raise ValueError(
                f"{place}: {name!r} needs one source, such as emptyDir, persistentVolumeClaim, configMap or secret; it "
                f"has {', '.join(sources) or 'none'}."
            )


def check_mounts(
    mounts: Sequence[Mapping[str, Any]], known: Sequence[str], where: str = "volume_mounts", of_manifest: bool = False
) -> None:
    """Raise ValueError for mounts of volumes that there are not (`known` are there), or of two at one path.

    `of_manifest`: Penstock's own may be among them, and paths may begin without '/', as Kubernetes has it.
    """
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        place = f"{where}[{index}]"
        check_slips(mount, fields.VOLUME_MOUNT, place)
        name, path = mount.get("name"), mount.get("mountPath")
        if name not in known:
            others = [volume for volume in known if volume != TOKEN_VOLUME]
            hint = did_you_mean(str(name), others) or f" There is {', '.join(others) or 'none'}."
            raise ValueError(f"{place}: there is no volume {name!r}.{hint}")
        if not isinstance(path, str) or not (path.startswith("/") or (of_manifest and path)) or ":" in path:
            raise ValueError(f"{place}: mountPath is {path!r}; it is a path that begins with '/' and holds no ':'.")
        plain = path.rstrip("/")
        if plain in seen or (plain == _TOKEN_FOLDER and not (of_manifest and name == TOKEN_VOLUME)):
            whose = "there twice" if plain in seen else "Penstock's own place"
            raise ValueError(f"{place}: mountPath {path} is {whose}.")
        seen.add(plain)


def check_tolerations(tolerations: Sequence[Mapping[str, Any]], where: str = "tolerations") -> None:
    """Raise ValueError for words that Kubernetes does not have, and members that exclude each other."""
    for index, toleration in enumerate(tolerations):
        place = f"{where}[{index}]"
        check_slips(toleration, fields.TOLERATION, place)
        effect, operator = toleration.get("effect"), toleration.get("operator") or "Equal"
        for name, value, known in (("effect", effect, fields.EFFECTS), ("operator", operator, fields.OPERATORS)):
            if value and value not in known and not holds_reference(str(value)):
                hint = did_you_mean(str(value), known)
                raise ValueError(f"{place}: there is no {name} {value!r}.{hint} It is one of {', '.join(known)}.")
        if operator == "Exists" and toleration.get("value"):
            raise ValueError(f"{place}: with operator Exists there is no value; leave it out, or use Equal.")
        if not toleration.get("key") and operator != "Exists":
            raise ValueError(f"{place} has no key; without one the operator is Exists, which tolerates all taints.")
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            raise ValueError(f"{place}: tolerationSeconds goes with the effect NoExecute.")


def check_slips(value: Mapping[str, Any], schema: JSONObject, place: str) -> None:
    """Raise ValueError for a name that is one of Kubernetes but for a letter or two."""
    try:
        fields.refuse_slips(dict(value), schema)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
