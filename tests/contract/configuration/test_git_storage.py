"""GitHub blocks against real repositories: over the file system, and over HTTP with a token."""

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pydantic
import pytest

from penstock.errors import ConfigurationError
from penstock.filesystems import GitHub

if shutil.which("git") is None and not os.environ.get("CI"):
    pytest.skip("the git program is not installed", allow_module_level=True)

TOKEN = "ghp_s3cr3t"


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    who += ["-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    (folder / "flows").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "flows" / "etl.py").write_text("first")
    (folder / "readme").write_text("r")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1")
    (folder / "flows" / "etl.py").write_text("second")
    git(folder, "commit", "-qam", "second")
    git(folder, "branch", "feature/x")
    return folder


def test_the_main_branch_comes_by_default(repository: Path, tmp_path: Path) -> None:
    assert (
        GitHub(repository=f"file://{repository}", include_git_objects=False).get_directory(
            local_path=str(tmp_path / "a")
        )
        == 2
    )
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == "second"
    assert not (tmp_path / "a" / ".git").exists()


@pytest.mark.parametrize("reference", ["v1", "commit", "feature/x"])
def test_a_branch_a_tag_or_a_commit_is_what_comes(repository: Path, tmp_path: Path, reference: str) -> None:
    name = git(repository, "rev-parse", "v1") if reference == "commit" else reference
    GitHub(repository=f"file://{repository}", reference=name).get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == ("second" if reference == "feature/x" else "first")
    assert git(tmp_path / "a", "rev-parse", "HEAD") == git(repository, "rev-parse", name)


def test_a_folder_of_the_repository_comes_alone(repository: Path, tmp_path: Path) -> None:
    block = GitHub(repository=f"file://{repository}")
    assert block.get_directory("flows", str(tmp_path / "a")) == 1
    assert (tmp_path / "a" / "etl.py").read_text() == "second"
    with pytest.raises(FileNotFoundError, match="has no folder 'folws'"):
        block.get_directory("folws", str(tmp_path / "b"))
    with pytest.raises(ConfigurationError, match="leads out"):
        block.get_directory("../..", str(tmp_path / "b"))


def test_it_comes_again_into_a_folder_where_it_is_already(repository: Path, tmp_path: Path) -> None:
    GitHub(repository=f"file://{repository}", reference="v1").get_directory(local_path=str(tmp_path / "a"))
    GitHub(repository=f"file://{repository}").get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == "second"


def test_a_reference_that_is_not_there_is_refused_with_the_nearest_one(repository: Path, tmp_path: Path) -> None:
    block = GitHub(repository=f"file://{repository}", reference="feature/y")
    with pytest.raises(ConfigurationError, match=r"no branch, tag or commit 'feature/y'\. Did you mean 'feature/x'\?"):
        block.get_directory(local_path=str(tmp_path / "a"))
    assert [finding.ok for finding in block.check()] == [True, True, False]
    assert "feature/x" in block.check()[-1].said


def test_a_repository_that_is_not_there_is_told_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"git fetch of file://.* failed: fatal: .*nowhere"):
        GitHub(repository=f"file://{tmp_path}/nowhere").get_directory(local_path=str(tmp_path / "a"))


@dataclass
class Host:
    """A git server over HTTP that lets in who has the token; `failures`: how often it is down first."""

    url: str = ""
    failures: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def host(repository: Path) -> Iterator[Host]:
    told = Host()
    backend = Path(git(repository, "--exec-path")) / "git-http-backend"
    expected = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.asked.append(self.path)
            if told.failures:
                told.failures -= 1
                self.send_error(503)
                return
            if self.headers.get("Authorization") != expected:
                self.send_error(401)
                return
            path, _, query = self.path.partition("?")
            variables = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(repository.parent),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run([backend], input=body, env=variables, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            self.send_response(200)
            for line in head.decode().splitlines():
                name, _, value = line.partition(": ")
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/origin/.git"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def test_a_token_opens_a_private_repository_and_stays_out_of_the_copy(host: Host, tmp_path: Path) -> None:
    GitHub(repository=host.url, access_token=TOKEN, reference="v1").get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == "first"
    assert host.asked
    login = base64.b64encode(f"x-access-token:{TOKEN}".encode())
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()
            assert login not in path.read_bytes()


def test_private_submodules_come_along_with_the_same_token(host: Host, repository: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    (library / "lib.py").write_text("lib")
    git(library, "add", ".")
    git(library, "commit", "-qm", "library")
    (repository / ".gitmodules").write_text('[submodule "lib"]\n\tpath = lib\n\turl = ../../library/.git\n')
    git(repository, "add", ".gitmodules")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{git(library, 'rev-parse', 'HEAD')},lib")
    git(repository, "commit", "-qm", "with a library")
    GitHub(repository=host.url, access_token=TOKEN).get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "lib" / "lib.py").read_text() == "lib"


def test_a_wrong_token_is_refused_without_being_told(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="failed") as caught:
        GitHub(repository=host.url, access_token="ghp_wrong").get_directory(local_path=str(tmp_path / "a"))
    assert "ghp_wrong" not in str(caught.value)


def test_a_host_that_is_down_for_a_moment_is_asked_again(host: Host, tmp_path: Path) -> None:
    host.failures = 1
    GitHub(repository=host.url, access_token=TOKEN).get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "readme").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"repository": "example/flows"}, "has to look like"),
        ({"repository": "https://me:hunter2@github.com/e/f"}, "give it as access_token"),
        ({"repository": "git@github.com:e/f.git", "access_token": "hunter2"}, "over https only"),
        ({"repository": "http://example.com/e/f", "access_token": "hunter2"}, "over https only"),
        ({"repository": "https://github.com/e/f", "reference": "--upload-pack=x"}, "cannot be a branch"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_written(fields: dict[str, str], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words) as caught:
        GitHub(**fields)
    assert "hunter2" not in str(caught.value)
