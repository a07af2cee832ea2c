"""Types of infrastructure by their names, and what this version can run."""

import importlib

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
