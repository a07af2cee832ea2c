"""A git server over HTTP for tests: the programs of the git that is installed here, behind a login."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What git says, run as a test user in `folder`."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    who += ["-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    """A repository with one commit, of `files`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def add_submodule(repository: Path, name: str, url: str, library: Path) -> None:
    """A commit that takes `library`, as it is, in as a submodule at `url`."""
    (repository / ".gitmodules").write_text(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n')
    git(repository, "add", ".gitmodules")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{git(library, 'rev-parse', 'HEAD')},{name}")
    git(repository, "commit", "-qm", f"with {name}")


@dataclass
class Host:
    """Serves the repositories below a folder to who knows `login`; `failures`: how often it is down first."""

    login: str
    url: str = ""
    failures: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def git_host(folder: Path, login: str) -> Iterator[Host]:
    """A server for the repositories below `folder`, for who logs in with `login` (NAME:PASSWORD)."""
    told = Host(login)
    backend = Path(git(folder, "--exec-path")) / "git-http-backend"

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.asked.append(self.path)
            if told.failures:
                told.failures -= 1
                self.send_error(503)
                return
            if self.headers.get("Authorization") != "Basic " + base64.b64encode(told.login.encode()).decode():
                self.send_error(401)
                return
            path, _, query = self.path.partition("?")
            variables = {
                **os.environ,
                "GIT_PROJECT_ROOT": str(folder),
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
        told.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
