"""The git program: let in where it has to be, asked again where the network fails, its words without the secrets."""

import base64
import logging
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from penstock.blocks.http import hide
from penstock.client.retries import wait_before
from penstock.errors import ConfigurationError, did_you_mean

#: How often git is asked at most where the network was at fault, and the longest wait in seconds in between.
MAX_TRIES = 3
LONGEST_WAIT = 10.0

#: What git and ssh say -> what to do about it. The first that fits counts.
_CURES = (
    (
        re.compile(r"Host key verification failed", re.I),
        "Give the server's key as known_hosts, as `ssh-keyscan HOST` prints it, after comparing it with what the host publishes.",
    ),
    (
        re.compile(r"Permission denied \(|Load key .* (invalid format|error in libcrypto)", re.I),
        "Give ssh_private_key a key without passphrase that the host knows, e.g. ssh_private_key='${file:~/.ssh/id_ed25519}'.",
    ),
    (
        re.compile(
            r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|access denied", re.I
        ),
        "The repository is private or not there: give a token that may read it, and compare the address.",
    ),
    (
        re.compile(r"not found|does not (exist|appear to be)|Could not read from remote repository", re.I),
        "Compare the address; a host says the same of a private repository that the token may not read.",
    ),
    (re.compile(r"Could not resolve host", re.I), "Compare the address; is there a network here?"),
)
_NETWORK = re.compile(
    r"Could not resolve host|Connection (timed out|reset|refused|closed)|Failed to connect|returned error: (429|5\d\d)|"
    r"early EOF|RPC failed|hung up unexpectedly|unexpected disconnect|Operation too slow|"
    r"TLS connection was non-properly terminated",
    re.I,
)
#: Of another repository, where we run in a hook or below another program of git.
_OTHERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Login:
    """How to be let in: a name and a password or token over https, a key over ssh. `known_hosts`: lines of such a file."""

    username: str = ""
    password: str = field(default="", repr=False)
    ssh_private_key: str = field(default="", repr=False)
    known_hosts: str = ""


class Git:
    """One remote repository. `user` names in errors what asks for it. Opened by `opened`."""

    def __init__(self, repository: str, login: Login, user: str, keys: Path) -> None:
        self.repository, self._login, self._user = repository, login, user
        self._environment = {**_environment(repository, login), "GIT_SSH_COMMAND": _ssh_command(login, keys)}

    def names(self) -> list[str]:
        """The repository's branches and tags."""
        lines = self.run(None, "ls-remote", "--heads", "--tags", "--refs", self.repository).splitlines()
        return [line.partition("\t")[2].split("/", 2)[2] for line in lines if line.count("/") >= 2]

    def fetch(self, folder: Path, reference: str | None, *, depth: int = 1, submodules: bool = True) -> str:
        """Check `reference` (None: the main branch) out into the empty `folder`; returns the commit's id.

        `depth`: so many commits of its history come along. Raises ConfigurationError with the nearest reference.
        """
        self.run(folder, "init", "--quiet")
        self.run(folder, "remote", "add", "origin", self.repository)
        try:
            self.run(folder, "fetch", "--quiet", f"--depth={depth}", "origin", reference or "HEAD")
        except ConfigurationError as error:
            if reference is None or not re.search(
                "couldn't find remote ref|not our ref|no such remote ref", str(error)
            ):
                raise
            raise ConfigurationError(
                f"{self.repository} has no branch, tag or commit {reference!r}.{did_you_mean(reference, self.names())}",
                code="unknown_reference",
                hint="Name a branch, a tag, or the whole id of a commit that the host gives out.",
            ) from None
        self.run(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        if submodules and (folder / ".gitmodules").exists():
            update = ("submodule", "update", "--quiet", "--init", "--recursive", f"--depth={depth}")
            self.run(folder, *update)
        if (folder / ".gitattributes").exists() and "filter=lfs" in (folder / ".gitattributes").read_text():
            self._tell_of_large_files(folder)
        return self.run(folder, "rev-parse", "HEAD").strip()

    def run(self, folder: Path | None, *arguments: str) -> str:
        """What git says. Raises ConfigurationError with its complaint and what to do about it, without secrets."""
        for tries in range(1, MAX_TRIES + 1):
            try:
                done = subprocess.run(
                    ["git", *arguments],
                    cwd=folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                )
            except FileNotFoundError:
                raise ConfigurationError(
                    f"The git program is not installed here, and {self._user} needs it.",
                    code="git_missing",
                    hint="apt-get install git, or the like; in a container: put it into the image.",
                ) from None
            if done.returncode == 0:
                return done.stdout
            if tries < MAX_TRIES and _NETWORK.search(done.stderr):
                logger.warning("git %s of %s failed for now, and is tried again", arguments[0], self.repository)
                time.sleep(wait_before(tries, None, LONGEST_WAIT, random.random()))
                continue
            break
        said = hide(done.stderr.strip(), self._secrets()) or f"exit status {done.returncode}"
        cure = next((cure for words, cure in _CURES if words.search(said)), None)
        raise ConfigurationError(f"git {arguments[0]} of {self.repository} failed: {said}", code="git", hint=cure)

    def _tell_of_large_files(self, folder: Path) -> None:
        if shutil.which("git-lfs") is None:
            logger.warning(
                "%s keeps files with Git LFS, and git-lfs is not installed here: there are pointers instead of these files",
                self.repository,
            )
        else:
            self.run(folder, "lfs", "pull")

    def _secrets(self) -> list[str]:
        key_lines = [line for line in self._login.ssh_private_key.splitlines() if line and not line.startswith("--")]
        return [secret for secret in (self._login.password, *key_lines) if secret]


@contextmanager
def opened(repository: str, login: Login, user: str) -> Iterator[Git]:
    """The repository. A private key lies in a file that only we can read, and only as long as the body lasts."""
    with tempfile.TemporaryDirectory(prefix="penstock-git-keys-") as folder:
        keys = Path(folder)
        if login.ssh_private_key:
            _write_private(keys / "key", login.ssh_private_key)
        if login.known_hosts:
            _write_private(keys / "known_hosts", login.known_hosts)
        yield Git(repository, login, user, keys)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text.replace("\r\n", "\n").rstrip("\n") + "\n")  # without its last line's end a key is no key


def _ssh_command(login: Login, keys: Path) -> str:
    """What git calls for ssh. Nobody is ever asked anything, and an unknown host is refused."""
    told = os.environ.get("GIT_SSH_COMMAND")
    if told and not login.ssh_private_key and not login.known_hosts:
        return told
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=30", "ServerAliveInterval=15"]
    if login.known_hosts:
        options.append(f"UserKnownHostsFile={keys / 'known_hosts'}")
    command = ["ssh", *(f"-o {quote(option)}" for option in options)]
    if login.ssh_private_key:
        command.append(f"-o IdentitiesOnly=yes -o IdentityAgent=none -i {quote(str(keys / 'key'))}")
    return " ".join(command)


def _environment(repository: str, login: Login) -> dict[str, str]:
    """The password goes along in a header: neither the process list nor the copy's configuration shows it.

    Submodules on the same host get it too, others do not.
    """
    config = {"http.lowSpeedLimit": "1", "http.lowSpeedTime": "60", "advice.detachedHead": "false"}
    if login.password:
        parts = urlsplit(repository)
        token = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {token}"
    told = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    told |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "LC_ALL": "C", "GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        told[f"GIT_CONFIG_KEY_{number}"], told[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return told
