"""GitHub blocks against real repositories: over the file system, and over HTTP with a token."""

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
from git_server import Host, add_submodule, git, git_host, make_repository

from penstock.blocks.credentials import BitBucketCredentials, GitLabCredentials
from penstock.errors import ConfigurationError
from penstock.filesystems import BitBucketRepository, GitHub, GitLabRepository, GitRepository

if shutil.which("git") is None and not os.environ.get("CI"):
    pytest.skip("the git program is not installed", allow_module_level=True)

TOKEN = "ghp_s3cr3t"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "origin", {"flows/etl.py": "first", "readme": "r"})
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


@pytest.fixture
def host(repository: Path) -> Iterator[Host]:
    with git_host(repository.parent, f"x-access-token:{TOKEN}") as running:
        yield running


def address(host: Host) -> str:
    return f"{host.url}/origin/.git"


def test_a_token_opens_a_private_repository_and_stays_out_of_the_copy(host: Host, tmp_path: Path) -> None:
    GitHub(repository=address(host), access_token=TOKEN, reference="v1").get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "flows" / "etl.py").read_text() == "first"
    assert host.asked
    login = base64.b64encode(f"x-access-token:{TOKEN}".encode())
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()
            assert login not in path.read_bytes()


def test_private_submodules_come_along_with_the_same_token(host: Host, repository: Path, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library", {"lib.py": "lib"})
    add_submodule(repository, "lib", "../../library/.git", library)
    GitHub(repository=address(host), access_token=TOKEN).get_directory(local_path=str(tmp_path / "a"))
    assert (tmp_path / "a" / "lib" / "lib.py").read_text() == "lib"


def test_a_wrong_token_is_refused_without_being_told(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="failed") as caught:
        GitHub(repository=address(host), access_token="ghp_wrong").get_directory(local_path=str(tmp_path / "a"))
    assert "ghp_wrong" not in str(caught.value)


LOGINS = {
    "oauth2": lambda url: GitLabRepository(repository=url, credentials=GitLabCredentials(token=TOKEN)),
    "x-token-auth": lambda url: BitBucketRepository(
        repository=url, bitbucket_credentials=BitBucketCredentials(token=TOKEN)
    ),
    "anna": lambda url: BitBucketRepository(
        repository=url, bitbucket_credentials=BitBucketCredentials(username="anna", password=TOKEN)
    ),
    "git": lambda url: GitRepository(repository=url, access_token=TOKEN),
    "bert": lambda url: GitRepository(repository=url, username="bert", access_token=TOKEN),
}


@pytest.mark.parametrize("name", LOGINS)
def test_each_host_is_told_the_name_that_it_expects_with_a_token(host: Host, tmp_path: Path, name: str) -> None:
    block: Any = LOGINS[name](address(host))
    host.login = f"{name}:{TOKEN}"
    assert block.get_directory("flows", str(tmp_path / "a")) == 1
    assert (tmp_path / "a" / "etl.py").read_text() == "second"
    assert [finding.ok for finding in block.check()] == [True, True]
    host.login = "somebody:else"
    with pytest.raises(ConfigurationError, match="failed") as caught:
        block.get_directory(local_path=str(tmp_path / "b"))
    assert caught.value.hint is not None
    assert "give a token that may read it" in caught.value.hint
    assert TOKEN not in str(caught.value)


def test_history_and_submodules_come_as_far_as_they_are_wanted(host: Host, repository: Path, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library", {"lib.py": "lib"})
    add_submodule(repository, "lib", "../../library/.git", library)
    host.login = f"git:{TOKEN}"
    asked: dict[str, Any] = {"repository": address(host), "access_token": TOKEN}
    block = GitRepository(**asked, include_submodules=False, include_git_objects=True, depth=2)
    block.get_directory(local_path=str(tmp_path / "a"))
    assert not (tmp_path / "a" / "lib" / "lib.py").exists()
    assert git(tmp_path / "a", "rev-list", "--count", "HEAD") == "2"
    GitRepository(**asked).get_directory(local_path=str(tmp_path / "b"))
    assert (tmp_path / "b" / "lib" / "lib.py").read_text() == "lib"
    assert not (tmp_path / "b" / ".git").exists()


def test_the_log_names_the_commit_also_after_its_branch_has_moved(
    host: Host, repository: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "penstock.storage")
    block = GitHub(repository=address(host), access_token=TOKEN, reference="feature/x")
    commits = []
    for text in ("third", "fourth"):
        (repository / "flows" / "etl.py").write_text(text)
        git(repository, "commit", "-qam", text)
        git(repository, "branch", "-f", "feature/x")
        block.get_directory(local_path=str(tmp_path / "a"))
        assert (tmp_path / "a" / "flows" / "etl.py").read_text() == text
        commits.append(git(repository, "rev-parse", "HEAD"))
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == commits


def test_a_host_that_is_down_for_a_moment_is_asked_again(host: Host, tmp_path: Path) -> None:
    host.failures = 1
    GitHub(repository=address(host), access_token=TOKEN).get_directory(local_path=str(tmp_path / "a"))
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
