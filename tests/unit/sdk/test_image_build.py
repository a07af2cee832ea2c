"""Images of a user's own: what goes into them, and what is refused before anything is built."""

from pathlib import Path

import pytest

from penstock.errors import CodeError, ConfigurationError
from penstock.sdk.image_build import plan_image, read_requirements


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_folder_holds_the_dockerfile_and_what_it_copies(tmp_path: Path):
    source = _write(tmp_path / "project", {"requirements.txt": "six\n", "flows/a.py": "a = 1\n", "flows/b/c.py": ""})
    plan = plan_image("base:1", source / "requirements.txt", source / "flows")
    built = tmp_path / "built"
    built.mkdir()
    plan.write(built)
    assert _in(built) == ["Dockerfile", "flows/a.py", "flows/b/c.py", "requirements/requirements.txt"]
    lines = (built / "Dockerfile").read_text().splitlines()
    assert lines[0] == "FROM base:1"
    assert lines[-1] == "COPY --chown=1000:0 flows /opt/penstock/flows"
    assert any("pip install" in line and "requirements.txt" in line for line in lines)


def test_packages_are_installed_before_flows_are_copied_so_that_an_edit_installs_nothing(tmp_path: Path):
    source = _write(tmp_path, {"requirements.txt": "six\n", "flows/a.py": ""})
    text = plan_image("base", source / "requirements.txt", source / "flows").dockerfile()
    assert text.index("pip install") < text.index("flows /opt/penstock/flows")


def test_what_the_ignore_file_names_stays_behind(tmp_path: Path):
    files = {".penstockignore": "data/\n*.log\n", "a.py": "", "data/big.csv": "1", "x.log": "", ".git/config": ""}
    plan = plan_image("base", None, _write(tmp_path / "flows", files))
    (tmp_path / "built").mkdir()
    plan.write(tmp_path / "built")
    assert _in(tmp_path / "built") == ["Dockerfile", "flows/a.py"]


def test_flows_with_secrets_are_not_put_into_an_image(tmp_path: Path):
    flows = _write(tmp_path, {"a.py": "", "id_rsa": "-----BEGIN RSA PRIVATE KEY-----\n", ".penstockignore": ""})
    with pytest.raises(CodeError, match="id_rsa") as caught:
        plan_image("base", None, flows)
    assert ".penstockignore" in (caught.value.hint or "")


def test_files_that_requirements_name_come_along(tmp_path: Path):
    files = {
        "requirements.txt": "-r more/base.txt\n--constraint=limits.txt\n./dist/ours-1-py3-none-any.whl  # ours\n",
        "more/base.txt": "-r further.txt\nnumpy>=1 ; python_version > '3'\n",
        "more/further.txt": "-r base.txt\n",
        "limits.txt": "",
        "dist/ours-1-py3-none-any.whl": "",
    }
    found = read_requirements(_write(tmp_path, files) / "requirements.txt")
    assert found.files == (
        "requirements.txt",
        "more/base.txt",
        "more/further.txt",
        "limits.txt",
        "dist/ours-1-py3-none-any.whl",
    )
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-e .", r"line 2: \. is a folder"),
        ("--editable ./lib", "line 2: there is no"),
        ("./here", "line 2: ./here is a folder"),
        ("../other", "is not in"),
        ("-r ../other.txt", "is not in"),
        ("/etc/passwd", "is not in"),
        ("ours @ file:///etc/passwd", "is not in"),
        ("-r missing.txt", "line 2: there is no missing.txt"),
        ("ours-1-py3-none-any.whl", "line 2: there is no"),
    ],
)
def test_what_an_image_cannot_have_is_refused_with_its_line(tmp_path: Path, line: str, said: str):
    (tmp_path / "here").mkdir()
    file = _write(tmp_path, {"requirements.txt": f"six\n{line}\n"}) / "requirements.txt"
    with pytest.raises(ConfigurationError, match=said):
        read_requirements(file)


@pytest.mark.parametrize(
    "line",
    [
        "six==1.16.0 \\\n    --hash=sha256:0123",
        "six[extra]>=1,<2 ; python_version > '3.11'  # why",
        "git+https://example.com/team/lib@v1#egg=lib",
        "lib @ https://example.com/lib-1-py3-none-any.whl",
        "-e git+https://example.com/team/lib#egg=lib",
        "git+ssh://git@example.com/team/lib#egg=lib",
        "--index-url https://example.com/simple",
        "--find-links https://example.com/wheels/",
        "# ../a comment",
        "",
    ],
)
def test_what_pip_fetches_by_itself_is_left_to_pip(tmp_path: Path, line: str):
    file = _write(tmp_path, {"requirements.txt": f"{line}\n"}) / "requirements.txt"
    found = read_requirements(file)
    assert found.files == ("requirements.txt",)
    assert found.warnings == ()


def test_a_login_in_the_requirements_is_warned_of_without_being_shown(tmp_path: Path):
    text = "six\n--extra-index-url https://me:hush@example.com/simple\n"
    found = read_requirements(_write(tmp_path, {"requirements.txt": text}) / "requirements.txt")
    assert len(found.warnings) == 1
    assert "requirements.txt, line 2" in found.warnings[0]
    assert "hush" not in found.warnings[0]
