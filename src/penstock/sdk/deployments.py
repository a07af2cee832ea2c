"""Deployment: a flow, where its code lies, the infrastructure that runs it, a schedule and parameters."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from penstock.engine.protocols import FlowLike
from penstock.errors import ConfigurationError
from penstock.model.applying import DeploymentChange
from penstock.sdk import (
    block_data,
    deployment_code,
    deployment_file,
    deployment_flow,
    deployment_rebuild,
    deployment_upload,
    deployment_yaml,
)
from penstock.sdk.deployment_fields import DeploymentFields
from penstock.sdk.sync_compatible import sync_compatible
from penstock.sdk.yaml_lines import Lines


class Deployment(DeploymentFields):
    """A deployment as it is written, before and after the server knows it.

        deployment = Deployment.build_from_flow(my_flow, name="nightly", work_queue_name="default")
        deployment.apply()

    Fields that are not given are taken from the deployment of the same flow and name, if the server has one. In
    asynchronous code every verb is awaited: ``await deployment.apply()``.
    """

    @classmethod
    @sync_compatible
    def build_from_flow(
        cls,
        flow: FlowLike,
        name: str,
        output: str | os.PathLike[str] | None = None,
        skip_upload: bool = False,
        ignore_file: str | None = None,
        apply: bool = False,
        load_existing: bool = True,
        code: str | None = None,
        include_secret_files: bool = False,
        **fields: Any,
    ) -> Self:
        """A deployment of `flow`. `fields` are those of this class; unknown ones are refused with the nearest name.

        `output`: write the deployment file there; what somebody wrote into it before is kept, unless `fields` say it or
        `load_existing` is false. `apply`: tell the server at once. A storage that takes files gets the current folder,
        without what `ignore_file` names, unless `skip_upload`; by default ``.penstockignore`` or ``.prefectignore``, and
        where there is neither, a ``.penstockignore`` is written.
        `code`: where the code lies if no storage keeps it, "local", "bundle" or "image"; see `penstock.sdk.deployment_code`.
        `include_secret_files`: a bundle may hold files that usually hold secrets.
        Raises ConfigurationError, CodeError when the flow's code is in no file, and ParameterError.
        """
        deployment = cls.planned(
            flow,
            name,
            fields,
            file=output if load_existing else None,
            load_existing=load_existing,
            code=code,
            ignore_file=ignore_file,
            include_secret_files=include_secret_files,
        )
        if not skip_upload:
            deployment.upload_to_storage(ignore_file=ignore_file)
        if output is not None:
            deployment.to_yaml(output)
        if apply:
            deployment.apply()
        return deployment

    @classmethod
    def planned(
        cls,
        flow: FlowLike,
        name: str,
        fields: dict[str, Any],
        *,
        file: str | os.PathLike[str] | None = None,
        load_existing: bool = True,
        code: str | None = None,
        ignore_file: str | None = None,
        include_secret_files: bool = False,
        adding: Collection[str] = (),
    ) -> Self:
        """As `build_from_flow`, but nothing is uploaded, written or applied. `file`: what it says is kept.

        `adding`: those of `fields` that change only the names that they name in what the file says: mappings, and an
        infrastructure of the type that the file has.
        """
        if not name:
            raise ConfigurationError("A deployment needs a name.")
        described = deployment_flow.described(flow)
        deployment = cls.from_fields({"name": name, **described, **fields}, f"deployment {name!r}")
        deployment._built_from = {field: described[field] for field in ("version", "description")}
        if "entrypoint" not in fields:
            deployment.entrypoint = deployment_flow.entrypoint_of(flow)
        keep = deployment_rebuild.settled(set(fields))
        lines = deployment_rebuild.file_of(file, deployment) if file is not None else None
        if lines is not None:
            keep = deployment_rebuild.take_from_file(deployment, lines, keep, adding)
        if load_existing:
            deployment_rebuild.take_from_server(deployment, keep)
        said = set(fields)
        if deployment._in_image and code is None and not {"storage", "path"} & said:
            code, said = "image", {*said, "path"}
        deployment._packed = deployment_code.place(
            deployment, said, code, ignore_file=ignore_file, include_secret_files=include_secret_files
        )
        deployment.check()
        return deployment

    @classmethod
    @sync_compatible
    def load_from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """The deployment that a file describes. Saved blocks are read from the server.

        Raises ConfigurationError that names the file, the line and the field, ParameterError about a parameter.
        """
        return cls._of(deployment_file.read(path))

    @classmethod
    @sync_compatible
    def load_from_text(cls, text: str, source: str) -> Self:
        """As `load_from_yaml`, of a file's text; `source` names it in errors."""
        return cls._of(deployment_file.parse(text, source))

    @classmethod
    def _of(cls, lines: Lines) -> Self:
        deployment = deployment_file.described(cls, lines)
        deployment._built_from = lines.values.get(deployment_yaml.BUILT_FROM)
        deployment_file.check(lines, deployment)
        return deployment

    @sync_compatible
    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write the deployment file. Blocks saved under a name are referred to, others are described in it.

        Where the file is already that of this deployment, comments and formatting of its upper part stay.
        Raises ConfigurationError if there is a file at `path` that cannot be read as a deployment's.
        """
        lines = deployment_rebuild.file_of(path, self)
        before = Path(path).read_text(encoding="utf-8") if lines is not None else ""
        deployment_file.write(path, deployment_rebuild.text_of(self, lines, before))

    @sync_compatible
    def update(self, ignore_none: bool = False, **fields: Any) -> None:
        """Change fields. With `ignore_none`, those given as None are left as they are."""
        self.change({name: value for name, value in fields.items() if value is not None or not ignore_none})

    @sync_compatible
    def load(self, keep: Iterable[str] = ()) -> bool:
        """Take what the server's deployment of this flow and name says, except for the fields in `keep`.

        Returns whether there is one. What describes the flow's code (version, entrypoint, path …) is never taken.
        """
        return deployment_rebuild.take_from_server(self, deployment_rebuild.settled(set(keep)))

    @sync_compatible
    def upload_to_storage(self, storage_block: str | None = None, ignore_file: str | None = None) -> int | None:
        """Copy the current folder into the storage. Returns the number of files; None if there is no storage for it.

        `storage_block`, ``type/name[/path]``, becomes the deployment's storage.
        """
        if storage_block is not None:
            self.storage, self.path = block_data.saved_storage(storage_block)
        return deployment_upload.upload(self, ignore_file)

    @sync_compatible
    def apply(
        self, upload: bool = False, work_queue_concurrency: int | None = None, force: bool | Collection[str] = False
    ) -> UUID:
        """Tell the server: create the deployment, or change it to what this one says. Returns its id.

        Fields that nobody has set here stay as they are. So do those that say the same as when they were last applied, even
        if somebody has changed them elsewhere since; `force`: all that is said wins, or what is said of these fields.
        `upload`: copy the current folder into the storage first. `work_queue_concurrency`: limit of the work queue.
        """
        from penstock.sdk import deployment_apply

        if upload:
            self.check()
            self.upload_to_storage()
        applied = deployment_apply.apply(self, force=force, work_queue_concurrency=work_queue_concurrency)
        return applied.deployment.id

    @sync_compatible
    def diff(self, force: bool | Collection[str] = False) -> list[DeploymentChange]:
        """What `apply` would change, field by field; nothing if the server's deployment is as this one says."""
        from penstock.sdk import deployment_apply

        return deployment_apply.apply(self, force=force, dry_run=True).changes
