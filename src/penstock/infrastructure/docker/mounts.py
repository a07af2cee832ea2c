"""Mounts as fields, and the text that the docker program has for them: ``type=…,source=…,target=…``. Pure."""

import csv
import re
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock.blocks.credentials.parts import Part
from penstock.blocks.extras import holds_reference
from penstock.errors import did_you_mean
from penstock.infrastructure.choices import read_choice
from penstock.infrastructure.docker.volumes import VOLUME_NAME, bytes_of, is_path_of_host
from penstock.model.base import JSONObject

_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_KINDS = ("bind", "volume", "tmpfs")
#: names of the docker program -> fields
_ALSO = {
    "src": "source", "dst": "target", "destination": "target", "readonly": "read_only", "ro": "read_only",
    "bind-propagation": "propagation", "volume-nocopy": "nocopy", "volume-driver": "driver", "tmpfs-size": "size",
    "tmpfs-mode": "mode", "read-only": "read_only",
}  # fmt: skip
#: Docker's own; Podman would let nobody in.
_TMPFS_MODE = "1777"
_SWITCHES = ("read_only", "nocopy")
#: field -> the one kind of mount that has it
_ONLY = {"propagation": "bind", "nocopy": "volume", "driver": "volume", "driver_options": "volume", "size": "tmpfs", "mode": "tmpfs"}  # fmt: skip
#: Options of a tmpfs: those with a value, and switches.
_WITH_VALUE = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
_FLAGS = (
    "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "sync", "async", "atime", "noatime", "diratime",
    "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
)  # fmt: skip


class Mount(Part):
    """A folder of the host, a volume of the engine, or memory, and where it appears in the container."""

    type: Literal["bind", "volume", "tmpfs"] = Field(
        default="volume", description="bind: a path of the host; volume: one of the engine; tmpfs: memory."
    )
    source: str | None = Field(
        default=None, description="The path of the host, or the volume's name; left out, the volume is a new one."
    )
    target: str = Field(description="Where it appears in the container.")
    read_only: bool = Field(default=False, description="Whether the container can only read it.")
    propagation: str | None = Field(
        default=None,
        description="How mounts below a bind are shared: rprivate, private, rshared, shared, rslave, slave.",
    )
    nocopy: bool = Field(default=False, description="Whether a new volume stays without what the image has there.")
    driver: str | None = Field(default=None, description="The driver that makes the volume if it does not exist.")
    driver_options: dict[str, str] = Field(default_factory=dict, description="What that driver is told.")
    size: int | str | None = Field(
        default=None,
        description="Most bytes of a tmpfs, or a number with b, k, m or g; by default no limit of its own.",
    )
    mode: str | None = Field(default=None, description="Permissions of a tmpfs in octal; by default 1777.")

    @field_validator("type", mode="before")
    @classmethod
    def _read_type(cls, value: Any) -> Any:
        return read_choice(value, _KINDS)

    @field_validator("target")
    @classmethod
    def _check_target(cls, value: str) -> str:
        if not holds_reference(value) and not value.rstrip("/").startswith("/"):
            raise ValueError(f"{value!r} is no place in the container: it begins with '/', and is not all of it.")
        return value

    @field_validator("propagation", mode="before")
    @classmethod
    def _read_propagation(cls, value: Any) -> Any:
        return read_choice(value, _PROPAGATIONS)

    @field_validator("size")
    @classmethod
    def _check_size(cls, value: Any) -> Any:
        if (
            value is not None
            and not (isinstance(value, str) and holds_reference(value))
            and bytes_of(value, "size") < 1
        ):
            raise ValueError(f"size is {value!r}; it has to be one byte or more.")
        return value

    @field_validator("mode", mode="before")
    @classmethod
    def _check_mode(cls, value: Any) -> Any:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if isinstance(text, str) and not holds_reference(text) and not re.fullmatch(r"[0-7]{3,4}", text):
            raise ValueError(f"mode is {value!r}; write permissions in octal, e.g. 1777 or 0755.")
        return text

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        for name, kind in _ONLY.items():
            if getattr(self, name) not in (None, False, {}) and self.type != kind:
                raise ValueError(f"{name} is for mounts of type {kind}; this one is a {self.type}.")
        if self.source is None:
            if self.type == "bind":
                raise ValueError("a bind needs its source, a path of the host.")
        elif self.type == "tmpfs":
            raise ValueError(f"a tmpfs is memory and has no source ({self.source}).")
        elif not holds_reference(self.source):
            is_path = is_path_of_host(self.source)
            if self.type == "bind" and not is_path:
                raise ValueError(f"source is {self.source!r}; the source of a bind is a whole path of the host.")
            if self.type == "volume" and not VOLUME_NAME.fullmatch(self.source):
                hint = " A path of the host is mounted by type=bind." if is_path else ""
                raise ValueError(f"source is {self.source!r}, which is no name of a volume.{hint}")
        return self

    def to_api(self) -> JSONObject:
        """The mount in the engine's own form."""
        found: JSONObject = {"Type": self.type, "Target": self.target, "ReadOnly": self.read_only}
        if self.source is not None:
            found["Source"] = self.source
        if self.propagation is not None:
            found["BindOptions"] = {"Propagation": self.propagation}
        volume: JSONObject = {"NoCopy": True} if self.nocopy else {}
        if self.driver is not None or self.driver_options:
            volume["DriverConfig"] = {"Name": self.driver or "local", "Options": self.driver_options}
        if volume:
            found["VolumeOptions"] = volume
        if self.type == "tmpfs":
            found["TmpfsOptions"] = self._memory()
        return found

    def _memory(self) -> JSONObject:
        mode = self.mode or _TMPFS_MODE
        found: JSONObject = {"Mode": mode if holds_reference(mode) else int(mode, 8)}
        if self.size is not None:
            unknown = isinstance(self.size, str) and holds_reference(self.size)
            found["SizeBytes"] = self.size if unknown else bytes_of(self.size, "size")
        return found


def read_mount(value: Any) -> Any:
    """The fields that a mount's text says, for `Mount` to judge; what is no text is returned as it is. Raises ValueError."""
    if not isinstance(value, str):
        return value
    found: JSONObject = {}
    for part in next(csv.reader([value]), []):
        name, equals, text = part.strip().partition("=")
        if name == "volume-opt":
            option, _, content = text.partition("=")
            found.setdefault("driver_options", {})[option] = content
            continue
        field = _ALSO.get(name, name)
        if field not in Mount.model_fields or field == "driver_options":
            near = did_you_mean(name, [*_ALSO, *Mount.model_fields])
            raise ValueError(f"{value!r} says {name!r}, which no mount has.{near} Write type=…,source=…,target=….")
        if not equals and field not in _SWITCHES:
            raise ValueError(f"{value!r} says {name} without a value.")
        if field in found:
            raise ValueError(f"{value!r} says {field} twice.")
        found[field] = text if equals else True
    return found


def read_tmpfs(text: str) -> tuple[str, str]:
    """``path[:options]`` taken apart. Raises ValueError."""
    target, _, options = text.partition(":")
    if not target.rstrip("/").startswith("/"):
        raise ValueError(f"{text!r} is mounted to {target!r}; the path in the container begins with '/'.")
    for option in options.split(",") if options else ():
        name, equals, value = option.partition("=")
        if not (value if name in _WITH_VALUE else name in _FLAGS and not equals):
            known = [*(f"{word}=…" for word in _WITH_VALUE), *_FLAGS]
            raise ValueError(
                f"{text!r} has the option {option!r}.{did_you_mean(name, [*_WITH_VALUE, *_FLAGS])} There are {', '.join(known)}."
            )
    return target, options


def tmpfs_of(texts: list[str]) -> dict[str, str]:
    """Folders in memory in the engine's own form. A text with a reference is shown in it as it was written."""
    return dict((text, "") if holds_reference(text) else read_tmpfs(text) for text in texts)
