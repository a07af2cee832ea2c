"""Flow code from git repositories, fetched with the git program."""

import logging
import re
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from penstock.blocks.base import Block
from penstock.blocks.extras import holds_reference
from penstock.blocks.references import resolved
from penstock.errors import ConfigurationError, did_you_mean
from penstock.model.findings import Finding
from penstock.storage.folders import copy_tree
from penstock.storage.git_program import Login, opened
from penstock.storage.ignore import Ignore

_SCP_FORM = re.compile(r"[\w.-]+@[\w.-]+:[^/].*")
_NOT_IN_NAMES = re.compile(r"[\s~^:?*\[\\]")
_SCHEMES = ("https", "http", "ssh", "git", "file")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")

logger = logging.getLogger(__name__)


class GitCode(Block):
    """What blocks for git repositories have in common: they say where, and how to get in. Repositories are read, never written."""

    _block_schema_capabilities: ClassVar[list[str] | None] = ["get-directory"]

    repository: str = Field(description="Address of the repository, e.g. https://github.com/example/flows.")
    reference: str | None = Field(
        default=None, description="Branch, tag or whole id of a commit; by default the repository's main branch."
    )

    @abstractmethod
    def login(self) -> Login:
        """How to be let in, secrets in clear."""

    def has_token(self) -> bool:
        """Whether something is sent that must not be sent in clear."""
        return bool(self.login().password)

    def history(self) -> tuple[int, bool, bool]:
        """How many commits come, whether the folder .git comes along, and whether submodules do."""
        return 1, False, True

    @field_validator("repository", check_fields=False)
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

    @field_validator("reference", check_fields=False)
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
        if not private and not holds_reference(self.repository) and self.has_token():
            raise ValueError("access_token is sent over https only: give the repository's https address.")
        return self

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        """Copy the repository, or its folder `from_path`, into the folder `local_path` (None: the current one).

        Returns the number of files, those of git not counted; the log names the commit. Raises ConfigurationError with
        git's own words, FileNotFoundError if the repository has no such folder.
        """
        block = resolved(self)
        depth, whole, submodules = block.history()
        with tempfile.TemporaryDirectory(prefix="penstock-git-") as folder:
            clone = Path(folder, "repository").resolve()
            clone.mkdir()
            with opened(block.repository, block.login(), block.get_block_type_name()) as git:
                commit = git.fetch(clone, block.reference, depth=depth, submodules=submodules)
            logger.info("%s is at commit %s", block.repository, commit)
            source = (clone / from_path.lstrip("/")).resolve() if from_path else clone
            if not source.is_relative_to(clone):
                raise ConfigurationError(
                    f"The path {from_path!r} leads out of the repository.", code="path_outside_storage"
                )
            if not source.is_dir():
                raise FileNotFoundError(f"{block.repository} has no folder {from_path!r} at commit {commit}.")
            target = Path(local_path or ".").expanduser().resolve()
            if whole and source == clone and not (target / ".git").exists():
                shutil.copytree(clone / ".git", target / ".git")
            return copy_tree(source, target, Ignore(["__pycache__/", ".git"]))

    def check(self) -> list[Finding]:
        found = super().check()
        if not all(finding.ok for finding in found):
            return found
        block = resolved(self)
        tried = f"the repository {block.repository}"
        try:
            with opened(block.repository, block.login(), block.get_block_type_name()) as git:
                names = git.names()
        except ConfigurationError as error:
            return [*found, Finding(tried, False, str(error), error.hint or "Check its address and the token.")]
        found.append(Finding(tried, True, f"{len(names)} branches and tags"))
        if block.reference is not None and block.reference not in names and not _COMMIT.fullmatch(block.reference):
            said = f"it has no such branch or tag.{did_you_mean(block.reference, names)}"
            found.append(Finding(f"the reference {block.reference}", False, said, "Correct reference."))
        return found


class GitHub(GitCode):
    """Flow code in a git repository: on GitHub, or anywhere that git can reach. It is read, never written."""

    _block_type_name: ClassVar[str | None] = "GitHub"
    _block_type_slug: ClassVar[str | None] = "github"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import GitHub

        GitHub(repository="https://github.com/example/flows", reference="v1.2").save("BLOCK_NAME")
    """

    access_token: SecretStr | None = Field(
        default=None, description="Personal access token, for private repositories over https."
    )
    include_git_objects: bool = Field(
        default=True, description="Whether the folder .git comes along, where there is none yet."
    )

    def login(self) -> Login:
        return Login("x-access-token", self.access_token.get_secret_value()) if self.access_token else Login()

    def history(self) -> tuple[int, bool, bool]:
        return 1, self.include_git_objects, True


class GitRepository(GitCode):
    """Flow code in a git repository on any host, over https or ssh. It is read, never written."""

    _block_type_name: ClassVar[str | None] = "Git Repository"
    _block_type_slug: ClassVar[str | None] = "git-repository"
    _code_example: ClassVar[str | None] = """
        from penstock.filesystems import GitRepository

        GitRepository(
            repository="git@git.example.com:team/flows.git",
            reference="main",
            ssh_private_key="${file:~/.ssh/id_ed25519}",
            known_hosts="git.example.com ssh-ed25519 AAAAC3Nza…",
        ).save("BLOCK_NAME")
    """

    username: str = Field(
        default="git", description="Name to log in with over https; hosts that want a token alone take any."
    )
    access_token: SecretStr | None = Field(default=None, description="Password or token to log in with over https.")
    ssh_private_key: SecretStr | None = Field(
        default=None, description="Text of a private key without passphrase; by default this machine's keys are tried."
    )
    known_hosts: str | None = Field(
        default=None,
        description="The host's public keys, as `ssh-keyscan HOST` prints them; by default this machine's known_hosts count. "
        "A host that shows another key is refused.",
    )
    depth: int = Field(default=1, ge=1, description="So many commits of the history come along.")
    include_git_objects: bool = Field(
        default=False, description="Whether the folder .git comes along, where there is none yet."
    )
    include_submodules: bool = Field(
        default=True, description="Whether submodules come along; those on the same host with the same login."
    )

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        over_ssh = self.repository.startswith("ssh://") or _SCP_FORM.fullmatch(self.repository)
        if self.ssh_private_key is not None and not over_ssh and not holds_reference(self.repository):
            raise ValueError("ssh_private_key is for addresses such as git@git.example.com:team/flows.git.")
        return self

    def login(self) -> Login:
        return Login(
            self.username,
            self.access_token.get_secret_value() if self.access_token else "",
            self.ssh_private_key.get_secret_value() if self.ssh_private_key else "",
            self.known_hosts or "",
        )

    def history(self) -> tuple[int, bool, bool]:
        return self.depth, self.include_git_objects, self.include_submodules
