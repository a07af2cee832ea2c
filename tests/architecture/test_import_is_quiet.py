"""Importing Penstock does nothing, and stays light: what is heavy is imported where it is used."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading, logging, os
before = set(sys.modules)
handlers = list(logging.getLogger().handlers)
{code}
heavy = {{"asyncio", "pydantic", "http.client", "fastapi", "sqlalchemy", "click", "urllib3", "alembic", "yaml", "ssl"}}
print(",".join(sorted(heavy & (set(sys.modules) - before))))
assert threading.active_count() == 1, "a thread was started"
assert logging.getLogger().handlers == handlers, "logging was set up"
"""


def loaded_by(code: str) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code=code)], capture_output=True, text=True, check=True, timeout=240
    )
    return set(filter(None, result.stdout.strip().split(",")))


def test_importing_penstock_loads_nothing_heavy():
    assert loaded_by("import penstock") == set()


def test_flow_and_task_load_neither_asyncio_nor_pydantic_nor_http():
    code = """
from penstock import flow, task

@task
def t(x: int) -> int:
    return x

@flow
def f(x: int = 1) -> int:
    return t(x)
"""
    assert loaded_by(code) & {"asyncio", "pydantic", "http.client", "fastapi", "sqlalchemy"} == set()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_do_not_load_click(arguments: list[str]):
    code = f"""
import contextlib, io
from penstock.cli.main import main
sys.argv = ["penstock", *{arguments!r}]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main()
assert out.getvalue().strip()
"""
    assert loaded_by(code) == set()


@pytest.mark.parametrize("module", ["penstock.agent", "penstock.engine.job", "penstock.cli.main", "penstock.sdk.flows"])
def test_only_the_server_loads_a_web_framework_or_an_orm(module: str):
    assert loaded_by(f"import {module}") & {"fastapi", "sqlalchemy", "alembic"} == set()


def test_the_front_doors_of_infrastructure_load_nothing_before_a_name_is_used():
    assert loaded_by("import penstock.infrastructure, penstock.infrastructure.process") == set()


def test_no_infrastructure_block_needs_the_library_of_its_platform():
    sdks = {"docker", "kubernetes_asyncio", "boto3", "botocore", "google.cloud", "google.auth", "azure"}
    code = f"""
from penstock.infrastructure import *
loaded = {sdks!r} & set(sys.modules)
assert not loaded, loaded
"""
    assert "pydantic" in loaded_by(code)
