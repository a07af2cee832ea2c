"""Tags of a release's images: every name that people pin to, and which of them a release moves."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.infrastructure.images import check_image, default_image

ROOT = Path(__file__).parents[2]
SHA = "88a7ff17a3435ec33c95c0323b8f05d7b9f3f6d2"
PYTHONS = ["3.7", "3.8", "3.9", "3.10", "3.11"]
CONDA = ["3.7", "3.8", "3.9", "3.10"]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("image_tags", ROOT / "images" / "tags.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["image_tags"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


tags = _load()


def _of(version: str, *, released: tuple[str, ...] = (), conda: list[str] | None = None) -> dict[str, tuple[str, str]]:
    """The Python and the flavour behind each tag."""
    images = tags.release_images(version, SHA, PYTHONS, CONDA if conda is None else conda, released)
    return {tag: (image.python, image.flavor) for image in images for tag in image.tags}


@pytest.mark.parametrize(
    ("tag", "python"),
    [
        ("2-latest", "3.10"),
        ("2-python3.11", "3.11"),
        ("2-python3.10", "3.10"),
        ("2-python3.9", "3.9"),
        ("2-python3.8", "3.8"),
        ("2-python3.7", "3.7"),
        ("2.1-python3.11", "3.11"),
        ("2.1-python3.10", "3.10"),
        ("2.1-python3.9", "3.9"),
        ("2.1-python3.8", "3.8"),
        ("2.1-python3.7", "3.7"),
        ("2.1.1-python3.11", "3.11"),
        ("2.1.1-python3.7", "3.7"),
        (f"sha-{SHA}-python3.11", "3.11"),
        (f"sha-{SHA}-python3.10", "3.10"),
        (f"sha-{SHA}-python3.9", "3.9"),
        (f"sha-{SHA}-python3.8", "3.8"),
        (f"sha-{SHA}-python3.7", "3.7"),
    ],
)
def test_a_release_has_this_tag_for_that_python(tag: str, python: str):
    assert _of("2.1.1")[tag] == (python, "")


@pytest.mark.parametrize(
    ("tag", "python"),
    [
        ("2-latest-conda", "3.10"),
        ("2-python3.10-conda", "3.10"),
        ("2-python3.9-conda", "3.9"),
        ("2-python3.8-conda", "3.8"),
        ("2-python3.7-conda", "3.7"),
        ("2.1-python3.10-conda", "3.10"),
        ("2.1-python3.9-conda", "3.9"),
        ("2.1-python3.8-conda", "3.8"),
        ("2.1-python3.7-conda", "3.7"),
        ("2.1.1-python3.7-conda", "3.7"),
        (f"sha-{SHA}-python3.10-conda", "3.10"),
        (f"sha-{SHA}-python3.9-conda", "3.9"),
        (f"sha-{SHA}-python3.8-conda", "3.8"),
        (f"sha-{SHA}-python3.7-conda", "3.7"),
    ],
)
def test_a_release_has_this_tag_in_the_conda_flavour(tag: str, python: str):
    assert _of("2.1.1")[tag] == (python, "conda")


def test_a_release_has_no_tags_but_those():
    every = {f"{name}-python{python}" for name in ("2", "2.1", "2.1.1", f"sha-{SHA}") for python in PYTHONS}
    conda = {f"{name}-python{python}-conda" for name in ("2", "2.1", "2.1.1", f"sha-{SHA}") for python in CONDA}
    assert set(_of("2.1.1")) == every | conda | {"2-latest", "2-latest-conda"}


def test_latest_is_the_highest_python_where_every_flavour_has_it():
    assert _of("2.1.1", conda=[])["2-latest"] == ("3.11", "")
    assert _of("2.1.1", conda=PYTHONS)["2-latest-conda"] == ("3.11", "conda")


@pytest.mark.parametrize("version", ["2.2.0rc1", "2.2.0a1", "2.2.0b12", "2.2.0.dev3"])
def test_a_prerelease_moves_no_name(version: str):
    assert {tag.partition("-python")[0] for tag in _of(version, released=("2.1.1",))} == {version, f"sha-{SHA}"}


@pytest.mark.parametrize(
    ("version", "released", "moved"),
    [
        ("2.1.2", ("2.1.1", "2.2.0"), {"2.1"}),
        ("2.1.2", ("2.1.1", "1.9.9"), {"2.1", "2"}),
        ("2.1.2", ("2.1.1", "3.0.0"), {"2.1", "2"}),
        ("2.1.2", ("2.1.10", "2.1.3"), set()),
        ("2.1.2", ("2.2.0rc1",), {"2.1", "2"}),
        ("2.1.2", ("2.1.2",), {"2.1", "2"}),
        ("2.1.1.post1", ("2.1.1",), {"2.1", "2"}),
        ("0.1.0", (), {"0.1", "0"}),
    ],
)
def test_a_release_moves_the_names_of_lines_that_it_is_the_newest_of(
    version: str, released: tuple[str, ...], moved: set[str]
):
    found = _of(version, released=released)
    assert {tag.partition("-python")[0] for tag in found if "-python" in tag} == {version, f"sha-{SHA}"} | moved
    assert any("latest" in tag for tag in found) == (version.partition(".")[0] in moved)


def test_a_commit_of_the_main_branch_is_dev_which_is_what_unreleased_code_asks_for():
    images = tags.development_images("main", SHA, ["3.11"], ["3.11"])
    assert [image.tags for image in images] == [
        ("dev-python3.11", f"sha-{SHA}-python3.11"),
        ("dev-python3.11-conda", f"sha-{SHA}-python3.11-conda"),
    ]
    assert default_image("0.2.0+4.gabc", (3, 11)) == f"{tags.REPOSITORY}:{images[0].tags[0]}"


@given(branch=st.text(min_size=1, max_size=200))
def test_a_commit_of_any_branch_has_tags_that_are_tags_and_no_releases(branch: str):
    for image in tags.development_images(branch, SHA, ["3.12"], []):
        for tag in image.tags:
            check_image(f"{tags.REPOSITORY}:{tag}")
            assert tag.startswith(("dev", "sha-"))


def test_a_release_of_this_project_has_the_image_that_its_jobs_ask_for():
    supported = tags.supported_pythons((ROOT / "pyproject.toml").read_text())
    assert supported[0] == "3.11"
    found = {f"{tags.REPOSITORY}:{t}" for i in tags.release_images("0.1.0", SHA, supported, supported) for t in i.tags}
    for python in supported:
        major, minor = python.split(".")
        assert default_image("0.1.0", (int(major), int(minor))) in found


@pytest.mark.parametrize("version", ["2.1", "2", "latest", "2.1.1+local", "2.1.1 ", "", "2.1.x"])
def test_what_is_no_version_has_no_images(version: str):
    with pytest.raises(ValueError, match="is no version"):
        tags.release_images(version, SHA, PYTHONS, CONDA)


def test_a_shortened_hash_of_a_commit_is_refused():
    with pytest.raises(ValueError, match="no full commit hash"):
        tags.release_images("2.1.1", SHA[:7], PYTHONS, CONDA)


def test_the_command_prints_references_and_takes_all_tags_of_the_repository(capsys: pytest.CaptureFixture[str]):
    tags.main(["v0.1.1", "--sha", SHA, "--python", "3.12", "--conda", "", "--released", "v0.1.0\nnightly\nv0.2.0"])
    assert capsys.readouterr().out.split() == [
        "penstock/penstock:0.1.1-python3.12",
        "penstock/penstock:0.1-python3.12",
        f"penstock/penstock:sha-{SHA}-python3.12",
    ]
