"""Types of infrastructure by their names, and what this version can run."""

import importlib
import subprocess
import sys

import pytest

from penstock.blocks.registry import own_blocks
from penstock.errors import ConfigurationError
from penstock.infrastructure import registry
from penstock.infrastructure.block import Infrastructure


def test_every_infrastructure_block_of_ours_is_a_known_type_with_a_package_of_its_own():
    blocks = {block.get_block_type_slug(): block for block in own_blocks() if issubclass(block, Infrastructure)}
    assert sorted(blocks) == sorted(registry._PACKAGES)
    for slug, package in registry._PACKAGES.items():
        assert blocks[slug].__module__ == f"{package}.config"
        assert blocks[slug].get_block_capabilities() == {"run-infrastructure"}


def test_a_type_is_found_by_its_slug_or_by_what_its_blocks_call_it():
    for block in own_blocks():
        if issubclass(block, Infrastructure):
            slug = block.get_block_type_slug()
            assert registry.slug_of(slug) == registry.slug_of(block.model_fields["type"].default) == slug


def test_an_unknown_type_is_refused_with_the_nearest_and_all():
    with pytest.raises(ConfigurationError, match=r"'kubernetes-jbo'\. Did you mean 'kubernetes-job'\?") as caught:
        registry.slug_of("kubernetes-jbo")
    assert "docker-container" in str(caught.value.hint)


def test_what_has_no_driver_is_refused_by_name_and_what_has_one_is_not():
    for slug, package in registry._PACKAGES.items():
        if registry.why_not_run(slug) is None:
            assert importlib.import_module(f"{package}.render").render
            continue
        with pytest.raises(ConfigurationError, match=f"has no driver for {slug} yet") as caught:
            registry.driver_for(slug)
        assert caught.value.code == "no_driver"
        assert "process" in str(caught.value.hint)


def test_a_type_whose_package_is_not_installed_is_refused_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(registry._EXTRAS, "docker-container", ("no_such_package", "docker"))
    said = registry.why_not_run("docker-container")
    assert said is not None
    assert "no_such_package" in said
    assert "pip install 'penstock[docker]'" in said
    assert registry.why_no_driver("docker-container") is None, "elsewhere it may run"
    with pytest.raises(ConfigurationError, match="pip install"):
        registry.driver_for("docker-container")


def test_whether_a_type_can_be_run_is_known_without_importing_its_package():
    code = (
        "import sys; from penstock.infrastructure import registry; "
        "[registry.why_not_run(slug) for slug in registry.known_types()]; "
        "print(*{'docker', 'kubernetes_asyncio'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
