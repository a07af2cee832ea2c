"""Flow code from git repositories, fetched with the git program."""

import base64
import logging
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference
from penstock.blocks.http import hide
from penstock.blocks.references import resolved
from penstock.client.retries import wait_before
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.findings import Finding
from penstock.storage.folders import copy_tree
from penstock.storage.ignore import Ignore

#: How often git is asked at most where the network was at fault, and the longest wait in seconds in between.
MAX_TRIES = 3
LONGEST_WAIT = 10.0

_SCP_FORM = re.compile(r"[\w.-]+@[\w.-]+:[^/].*")
_NOT_IN_NAMES = re.compile(r"[\s~^:?*\[\\]")
_SCHEMES = ("https", "http", "ssh", "git", "file")
_NETWORK = re.compile(
    r"Could not resolve host|Connection (timed out|reset|refused)|Failed to connect|returned error: (429|5\d\d)|"
    r"early EOF|RPC failed|hung up unexpectedly|Operation too slow|TLS connection was non-properly terminated",
    re.I,
)

logger = logging.getLogger(__name__)


class GitHub(Block):
    """Flow code in a git repository: on GitHub, or anywhere that git can reach. It is read, never written."""

    _block_type_name: ClassVar[str | None] = "GitHub"
    _block_type_slug: ClassVar[str | None] = "github"
    _block_schema_capabilities: ClassVar[list[str] | None] = ["get-directory"]
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import GitHub

        GitHub(repository="https://github.com/example/flows", reference="v1.2").save("BLOCK_NAME")
    """

    repository: str = Field(description="Address of the repository, e.g. https://github.com/example/flows.")
    reference: str | None = Field(
        default=None, description="Branch, tag or whole id of a commit; by default the repository's main branch."
    )
    access_token: SecretStr | None = Field(
        default=None, description="Personal access token, for private repositories over https."
    )
    include_git_objects: bool = Field(
        default=True, description="Whether the folder .git comes along, where there is none yet."
    )

    @field_validator("repository")
    @classmethod
    def _check_repository(cls, value: str) -> str:
        if holds_reference(value) or _SCP_FORM.fullmatch(value):
            return value
        parts = urlsplit(value)
        if parts.scheme not in _SCHEMES or not parts.path.strip("/"):
            raise ValueError(f"repository is {value!r}; it has to look like https://github.com/example/flows.")
        if parts.password or (parts.username and parts.scheme in {"http", "https"}):
            raise ValueError("repository holds a password or token, and is no secret: give it as access_token.")
        return value

    @field_validator("reference")
    @classmethod
    def _check_reference(cls, value: str | None) -> str | None:
        broken = value is not None and (value.startswith("-") or not value.strip() or _NOT_IN_NAMES.search(value))
        if value is not None and broken and not holds_reference(value):
            raise ValueError(f"reference is {value!r}, which cannot be a branch, tag or commit.")
        return value

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        parts = urlsplit(self.repository)
        private = parts.scheme == "https" or parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if self.access_token is not None and not private and not holds_reference(self.repository):
            raise ValueError("access_token is sent over https only: give the repository's https address.")
        return self

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        """Copy the repository, or its folder `from_path`, into the folder `local_path` (None: the current one).

        Returns the number of files, those of git not counted. Raises ConfigurationError with git's own words, FileNotFoundError if the repository
        has no such folder.
        """
        block = resolved(self)
        with tempfile.TemporaryDirectory(prefix="penstock-git-") as folder:
            clone = Path(folder, "repository").resolve()
            clone.mkdir()
            commit = block._fetch(clone)
            logger.info("%s is at commit %s", block.repository, commit)
            source = (clone / from_path.lstrip("/")).resolve() if from_path else clone
            if not source.is_relative_to(clone):
                raise ConfigurationError(
                    f"The path {from_path!r} leads out of the repository.", code="path_outside_storage"
                )
            if not source.is_dir():
                raise FileNotFoundError(f"{block.repository} has no folder {from_path!r} at commit {commit}.")
            target = Path(local_path or ".").expanduser().resolve()
            if block.include_git_objects and source == clone and not (target / ".git").exists():
                shutil.copytree(clone / ".git", target / ".git")
            return copy_tree(source, target, Ignore(["__pycache__/", ".git"]))

    def check(self) -> list[Finding]:
        found = super().check()
        if not all(finding.ok for finding in found):
            return found
        block = resolved(self)
        tried = f"the repository {block.repository}"
        try:
            names = block._names()
        except ConfigurationError as error:
            return [*found, Finding(tried, False, str(error), error.hint or "Check its address and the token.")]
        found.append(Finding(tried, True, f"{len(names)} branches and tags"))
        if block.reference is not None and block.reference not in names and not _is_commit(block.reference):
            said = f"it has no such branch or tag.{did_you_mean(block.reference, names)}"
            found.append(Finding(f"the reference {block.reference}", False, said, "Correct reference."))
        return found

    def _fetch(self, clone: Path) -> str:
        """Check the reference out into the empty folder; returns the commit's id."""
        self._git(clone, "init", "--quiet")
        self._git(clone, "remote", "add", "origin", self.repository)
        try:
            self._git(clone, "fetch", "--quiet", "--depth=1", "origin", self.reference or "HEAD")
        except ConfigurationError as error:
            if self.reference is None or "couldn't find remote ref" not in str(error):
                raise
            raise ConfigurationError(
                f"{self.repository} has no branch, tag or commit {self.reference!r}."
                f"{did_you_mean(self.reference, self._names())}",
                code="unknown_reference",
            ) from None
        self._git(clone, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        if (clone / ".gitmodules").exists():
            self._git(clone, "submodule", "update", "--quiet", "--init", "--recursive", "--depth=1")
        return self._git(clone, "rev-parse", "HEAD").strip()

    def _names(self) -> list[str]:
        """The repository's branches and tags."""
        lines = self._git(None, "ls-remote", "--heads", "--tags", "--refs", self.repository).splitlines()
        return [line.partition("\t")[2].split("/", 2)[2] for line in lines if line.count("/") >= 2]

    def _git(self, folder: Path | None, *arguments: str) -> str:
        """What git says. Raises ConfigurationError with its complaint, without the token."""
        secrets = [self.access_token.get_secret_value()] if self.access_token is not None else []
        for tries in range(1, MAX_TRIES + 1):
            try:
                done = subprocess.run(
                    ["git", *arguments],
                    cwd=folder,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                )
            except FileNotFoundError:
                raise ConfigurationError(
                    "The git program is not installed here, and GitHub blocks need it.", code="git_missing"
                ) from None
            if done.returncode == 0:
                return done.stdout
            if tries < MAX_TRIES and _NETWORK.search(done.stderr):
                time.sleep(wait_before(tries, None, LONGEST_WAIT, random.random()))
                continue
            break
        said = hide(done.stderr.strip(), secrets) or f"exit status {done.returncode}"
        raise ConfigurationError(f"git {arguments[0]} of {self.repository} failed: {said}", code="git")

    def _environment(self) -> dict[str, str]:
        """The token goes along in a header: neither the process list nor the copy's configuration shows it."""
        config = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "60", "advice.detachedHead": "false"}
        if self.access_token is not None:
            parts = urlsplit(self.repository)
            login = base64.b64encode(f"x-access-token:{self.access_token.get_secret_value()}".encode()).decode()
            config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {login}"
        told = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "LC_ALL": "C"}
        told.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            told.pop(name, None)  # a hook's, or another program's: about another repository
        told["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            told[f"GIT_CONFIG_KEY_{number}"], told[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return told


def _is_commit(reference: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", reference) is not None
