"""Results that were written down: by whom, where, in which form, and read again from another process."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from penstock import flow, task
from penstock.errors import ResultError, RunError, RunFailed, SerializationError
from penstock.filesystems import LocalFileSystem
from penstock.model.reasons import Reason
from penstock.model.results import Result
from penstock.model.states import State, StateType
from penstock.results.store import ResultStore
from penstock.serializers import JSONSerializer
from penstock.states import Completed
from penstock.storage.base import Storage


class Vault(Storage):
    """Storage of a user's own, with a secret without which nothing can be read."""

    _block_type_slug = "test-vault"

    folder: str
    password: SecretStr

    def get_directory(self, from_path: str | None = None, local_path: str | None = None) -> int:
        raise NotImplementedError

    def put_directory(
        self, local_path: str | None = None, to_path: str | None = None, ignore_file: str | None = None
    ) -> int:
        raise NotImplementedError

    def read_path(self, path: str) -> bytes:
        password, _, content = Path(self.folder, path).read_bytes().partition(b":")
        assert password.decode() == self.password.get_secret_value()
        return content

    def write_path(self, path: str, content: bytes) -> str:
        Path(self.folder, path).write_bytes(self.password.get_secret_value().encode() + b":" + content)
        return path


class Strange(Exception):
    """Can be pickled, but not be made again from that."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


#: Prints what another process reads: the result of a flow run and those of its task runs, or how that went wrong.
READER = """
import sys
from penstock.client import get_sync_client
from penstock.errors import PenstockError

def told(state):
    try:
        return repr(state.result())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

with get_sync_client() as client:
    print("flow", told(client.read_flow_run(sys.argv[1]).state))
    for task_run in client.read_task_runs(flow_run_filter={"id": {"any_": [sys.argv[1]]}}, sort="NAME_ASC"):
        print(task_run.name, told(task_run.state))
"""


def read_elsewhere(accounts: Any, run: Any, tmp_path: Path) -> dict[str, str]:
    """What a process finds that knows only the server's address."""
    env = {**accounts.server.env, "PENSTOCK_HOME": str(tmp_path / "another-home")}
    command = [sys.executable, "-c", READER, str(run.id)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def header_of(state: State) -> dict[str, Any]:
    """The first line of the file in which the state's result lies."""
    found: dict[str, Any] = json.loads(Path(state.data.reference["storage_key"]).read_bytes().partition(b"\n")[0])
    return found


def test_results_and_exceptions_are_read_in_another_process(accounts, tmp_path):
    @task(persist_result=True)
    def rows():
        return {"rows": [1, (2, 3)]}

    @task(persist_result=True)
    def breaks():
        raise KeyError("which one")

    @task(persist_result=True)
    def strange():
        raise Strange(7, "no")

    @task
    def forgets():
        return 1

    @flow(persist_result=True)
    def results_of_all_kinds():
        breaks(return_state=True)
        strange(return_state=True)
        forgets()
        return rows()

    assert results_of_all_kinds() == {"rows": [1, (2, 3)]}
    assert read_elsewhere(accounts, accounts.flow_run(results_of_all_kinds), tmp_path) == {
        "flow": "{'rows': [1, (2, 3)]}",
        "rows-0": "{'rows': [1, (2, 3)]}",
        "breaks-0": "KeyError: 'which one'",
        "strange-0": "RunFailed: Strange: 7 no",
        "forgets-0": "RunError: The result was not kept: it was known only to the process in which the run ran",
    }


def test_a_failed_flow_gives_its_exception_elsewhere(accounts, tmp_path):
    @task
    def breaks():
        raise ZeroDivisionError("by nothing")

    @flow(persist_result=True)
    def fails_by_its_future():
        return breaks.submit()

    with pytest.raises(ZeroDivisionError):
        fails_by_its_future()
    found = read_elsewhere(accounts, accounts.flow_run(fails_by_its_future), tmp_path)
    assert found["flow"] == "ZeroDivisionError: by nothing"


@pytest.mark.parametrize("value", [None, True, False])
def test_nothing_true_and_false_travel_without_a_file(accounts, value, tmp_path):
    @task(persist_result=True, result_storage=LocalFileSystem(basepath=str(tmp_path)))
    def says():
        return value

    @flow
    def literal():
        return says(return_state=True)

    state = literal(return_state=True)
    task_run = accounts.task_runs(accounts.flow_runs(literal)[-1])["says-0"]
    assert state.result() is value
    assert task_run.state.data == {"type": "literal", "value": value}
    assert task_run.state.result() is value
    assert list(tmp_path.iterdir()) == []


def test_a_returned_dictionary_is_never_taken_for_a_reference(accounts):
    impostor = {"type": "reference", "storage_key": "/etc/passwd"}

    @task
    def looks_like_one():
        return impostor

    @task(persist_result=True)
    def is_written():
        return {"type": "unpersisted"}

    @flow
    def returns_impostors():
        return looks_like_one(), is_written()

    assert returns_impostors() == (impostor, {"type": "unpersisted"})


PERSISTS = {
    "persist_result": ({"persist_result": True}, {}, True),
    "nothing": ({}, {}, False),
    "cache_key_fn": ({"cache_key_fn": lambda context, arguments: str(uuid4())}, {}, True),
    "not in memory": ({"cache_result_in_memory": False}, {}, True),
    "setting": ({}, {"PENSTOCK_RESULTS_PERSIST_BY_DEFAULT": "true"}, True),
    "no, whatever the setting says": (
        {"persist_result": False},
        {"PENSTOCK_RESULTS_PERSIST_BY_DEFAULT": "true"},
        False,
    ),
}


@pytest.mark.parametrize(("options", "environment", "expected"), PERSISTS.values(), ids=PERSISTS.keys())
def test_what_makes_a_task_write_its_result(accounts, monkeypatch, options, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    @task(**options)
    def one():
        return "one"

    @flow
    def calls_one():
        return one(return_state=True)

    state = calls_one(return_state=True)
    (task_run,) = accounts.task_runs(accounts.flow_runs(calls_one)[-1]).values()
    assert (task_run.state.data["type"] == "reference") is expected
    assert state.result() == "one"


def test_storage_and_serializer_come_from_task_flow_parent_and_settings_in_this_order(accounts, tmp_path, monkeypatch):
    folders = {name: LocalFileSystem(basepath=str(tmp_path / name)) for name in ("task", "flow", "parent")}
    monkeypatch.setenv("PENSTOCK_LOCAL_STORAGE_PATH", str(tmp_path / "settings"))
    monkeypatch.setenv("PENSTOCK_RESULTS_DEFAULT_SERIALIZER", "compressed/json")

    @task(persist_result=True)
    def plain():
        return "x"

    own = plain.with_options(result_storage=folders["task"], result_serializer=JSONSerializer())

    @flow
    def child():
        return [plain(return_state=True), own(return_state=True)]

    child_with_own = child.with_options(result_storage=folders["flow"], result_serializer="compressed/pickle")

    @flow(result_storage=folders["parent"], result_serializer="json")
    def parent():
        return [*child(), *child_with_own(), plain(return_state=True)]

    @flow
    def without():
        return plain(return_state=True)

    found = []
    for state in [*parent(return_state=True).data, without(return_state=True)]:
        place = Path(state.data.reference["storage_key"]).parent.name
        found.append((place, header_of(state)["serializer"]["type"]))
    assert found == [
        ("parent", "json"),
        ("task", "json"),
        ("flow", "compressed/pickle"),
        ("task", "json"),
        ("parent", "json"),
        ("settings", "compressed/json"),
    ]


def test_a_result_that_is_not_kept_in_memory_is_read_when_it_is_asked_for():
    class Large:
        pass

    born: list[weakref.ref[Large]] = []

    @task(cache_result_in_memory=False)
    def makes():
        large = Large()
        born.append(weakref.ref(large))
        return large

    @task(persist_result=True)
    def keeps():
        large = Large()
        born.append(weakref.ref(large))
        return large

    @flow
    def drops_and_keeps():
        states = makes(return_state=True), keeps(return_state=True)
        gc.collect()
        in_memory = [reference() is not None for reference in born]
        return in_memory, [state.data.has_cached_object() for state in states], states[0].result() is not None

    assert drops_and_keeps() == ([False, True], [False, True], True)


def test_what_cannot_be_written_fails_its_run_and_is_named(accounts):
    @task(persist_result=True, retries=0)
    def connects():
        return {"db": [1, {"lock": threading.Lock()}]}

    @task
    def goes_on():
        return "went on"

    @flow
    def unwritable():
        return connects(return_state=True), goes_on()

    state, went_on = unwritable()
    assert went_on == "went on"
    with pytest.raises(SerializationError) as caught:
        state.result()
    assert str(caught.value) == (
        "The result of task 'connects' cannot be written by the serializer pickle: its part ['db'][1]['lock'] is of "
        "type _thread.lock: TypeError: cannot pickle '_thread.lock' object"
    )
    failed = accounts.task_runs(accounts.flow_run(unwritable))["connects-0"].state
    assert failed.state_details.reason is Reason.RESULT_NOT_WRITTEN
    assert "persist_result=False" in failed.state_details.hint
    assert "connects" in failed.message


def test_a_flow_whose_result_cannot_be_written_fails(accounts):
    @flow(persist_result=True)
    def returns_a_lock():
        return threading.Lock()

    state = returns_a_lock(return_state=True)
    assert (state.type, state.state_details.reason) == (StateType.FAILED, Reason.RESULT_NOT_WRITTEN)
    assert accounts.flow_run(returns_a_lock).state_name == "Failed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"result_storage": "local-file-system/resluts"}, "Did you mean 'results'?"),
        ({"result_storage": "local-file-sytem/results"}, "Did you mean 'local-file-system'?"),
        ({"result_serializer": "jsno"}, "Did you mean 'json'?"),
    ],
)
def test_a_place_that_does_not_exist_is_told_before_the_work_is_done(accounts, options, message):
    LocalFileSystem(basepath="/nowhere").save("results", overwrite=True)
    done = []

    @task(persist_result=True, **options)
    def works():
        done.append("task")

    @flow(persist_result=True, **options)
    def works_too():
        done.append("flow")

    @flow
    def outer():
        return works(return_state=True), works_too(return_state=True)

    states = outer(return_state=True).data
    assert done == []
    for state in states:
        assert (state.type, state.state_details.reason) == (StateType.FAILED, Reason.CONFIGURATION_INVALID)
        assert message in state.message


def test_the_name_of_the_file_can_be_chosen(tmp_path):
    @task(
        persist_result=True,
        result_storage=LocalFileSystem(basepath=str(tmp_path)),
        result_storage_key="{flow_run.flow_name}/{flow_run.name}/{task_run.name}-{task_run.task_name}-{parameters[table]}",
    )
    def load(table):
        return table

    @flow(flow_run_name="nightly")
    def names_files():
        return load("orders", return_state=True)

    state = names_files(return_state=True)
    assert (tmp_path / "names-files" / "nightly" / "load-0-load-orders").is_file()
    assert state.data.get() == "orders"


@pytest.mark.parametrize("key", ["../outside", "/etc/outside", "{parameters[tabel]}", "{nonsense.name}"])
def test_a_name_that_leads_out_of_the_storage_or_cannot_be_filled_in_fails_the_run(tmp_path, key):
    @task(persist_result=True, result_storage=LocalFileSystem(basepath=str(tmp_path / "in")), result_storage_key=key)
    def load(table):
        return table

    @flow
    def wrong_name():
        return load("orders", return_state=True)

    state = wrong_name(return_state=True)
    assert (state.type, state.state_details.reason) == (StateType.FAILED, Reason.RESULT_NOT_WRITTEN)
    assert not (tmp_path / "outside").exists()


def test_saved_blocks_are_used_by_name_and_by_object(accounts, tmp_path):
    LocalFileSystem(basepath=str(tmp_path / "saved")).save("by-name", overwrite=True)

    @task(persist_result=True, result_storage="local-file-system/by-name")
    def named():
        return "named"

    @task(persist_result=True, result_storage=LocalFileSystem.load("by-name"))
    def loaded():
        return "loaded"

    @flow
    def uses_saved_blocks():
        named()
        loaded()

    uses_saved_blocks()
    run = accounts.flow_run(uses_saved_blocks)
    references = [task_run.state.data for task_run in accounts.task_runs(run).values()]
    document = accounts.client.read_block_document_by_name("by-name", "local-file-system")
    assert {reference["storage_block_id"] for reference in references} == {str(document.id)}
    found = read_elsewhere(accounts, run, tmp_path)
    assert (found["named-0"], found["loaded-0"]) == ("'named'", "'loaded'")
    assert len(list((tmp_path / "saved").iterdir())) == 2


def test_a_block_that_was_never_saved_is_saved_once_with_its_secrets_sealed(accounts, tmp_path):
    def run_with(password: str) -> Any:
        @task(persist_result=True, result_storage=Vault(folder=str(tmp_path), password=SecretStr(password)))
        def guarded():
            return password

        @flow(name=f"uses-the-vault-{uuid4().hex[:6]}")
        def uses_the_vault():
            guarded()

        uses_the_vault()
        (task_run,) = accounts.task_runs(accounts.flow_run(uses_the_vault)).values()
        return task_run.state

    first, again, other = run_with("open sesame"), run_with("open sesame"), run_with("another")
    ids = [state.data["storage_block_id"] for state in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]
    for state, password in ((first, "open sesame"), (other, "another")):
        assert state.result() == password
        shown = accounts.client.read_block_document(state.data["storage_block_id"], include_secrets=False)
        assert shown.is_anonymous
        assert shown.data == {"folder": str(tmp_path), "password": "********"}


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.unlink(), "The result is not there"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "The file is damaged"),
        (lambda path: path.write_bytes(b"something else"), "does not begin as one of a result does"),
    ],
)
def test_a_result_that_is_gone_or_damaged_says_so_with_its_place(accounts, harm, message):
    @flow(persist_result=True)
    def harmed():
        return "precious"

    reference = harmed(return_state=True).data.reference
    harm(Path(reference["storage_key"]))
    state = accounts.flow_runs(harmed)[-1].state
    with pytest.raises(ResultError) as caught:
        state.result()
    assert message in str(caught.value)
    assert reference["storage_key"] in str(caught.value)


def test_an_exception_whose_file_is_gone_is_told_by_its_message(accounts):
    @flow(persist_result=True)
    def loses_its_exception():
        raise ValueError("what it was")

    state = loses_its_exception(return_state=True)
    Path(state.data.reference["storage_key"]).unlink()
    with pytest.raises(RunFailed, match="ValueError: what it was"):
        accounts.flow_run(loses_its_exception).state.result()
    assert isinstance(state.result(raise_on_failure=False), ValueError)


def test_results_are_awaited_with_fetch(accounts):
    @task(persist_result=True)
    async def one():
        return 1

    @flow(persist_result=True)
    async def asynchronous():
        state = await one(return_state=True)
        return await state.result(fetch=True) + state.result()

    async def program() -> list[Any]:
        state = await asynchronous(return_state=True)
        return [await state.result(fetch=True), await accounts.flow_run(asynchronous).state.result(fetch=True)]

    assert asyncio.run(program()) == [2, 2]


def test_a_subflow_and_what_it_stands_for_have_the_same_result(accounts, tmp_path):
    @flow(persist_result=True)
    def child_with_result():
        return "of the child"

    @flow
    def parent_of_child():
        return child_with_result()

    assert parent_of_child() == "of the child"
    run = accounts.flow_run(parent_of_child)
    found = read_elsewhere(accounts, run, tmp_path)
    assert found["child-with-result-0"] == "'of the child'"
    assert accounts.flow_run(child_with_result).state.result() == "of the child"


def test_a_state_that_the_user_makes_has_its_data_written(accounts):
    @flow(persist_result=True)
    def makes_its_state():
        return Completed(message="by hand", data=[1, 2])

    makes_its_state()
    found = accounts.flow_run(makes_its_state).state
    assert (found.message, found.result()) == ("by hand", [1, 2])


class Says:
    persist_result = True
    result_storage = None
    result_serializer: Any = None
    cache_result_in_memory = False
    cache_key_fn = None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False) | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@pytest.mark.parametrize("serializer", ["pickle", "json", "compressed/json"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=50
)
@given(value=values)
def test_whatever_is_kept_comes_back_equal(monkeypatch, tmp_path, serializer, value):
    monkeypatch.setenv("PENSTOCK_LOCAL_STORAGE_PATH", str(tmp_path))
    monkeypatch.setattr(Says, "result_serializer", serializer)
    state = ResultStore.for_flow(Says()).keep(State(type=StateType.COMPLETED, data=value))
    assert isinstance(state.data, Result)
    assert state.result() == value
    assert type(state.result()) is type(value)


def test_without_persistence_another_process_is_told_what_to_do(accounts):
    @flow
    def forgets():
        return 1

    forgets()
    with pytest.raises(RunError) as caught:
        accounts.flow_run(forgets).state.result()
    assert "persist_result=True" in str(caught.value.hint)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_the_states_of_returned_futures_are_read_elsewhere_with_their_results(accounts, tmp_path, serializer):
    @task(persist_result=True, cache_result_in_memory=False)
    def doubles(x):
        return (x, 2 * x)

    @flow(persist_result=True, result_serializer=serializer)
    def returns_futures():
        return [doubles.submit(1), doubles.submit(2)]

    states = returns_futures()
    assert [state.result() for state in states] == [(1, 2), (2, 4)]
    found = accounts.flow_runs(returns_futures)[-1].state.result()
    assert [state.result() for state in found] == [(1, 2), (2, 4)]
    assert read_elsewhere(accounts, accounts.flow_runs(returns_futures)[-1], tmp_path)["doubles-1"] == "(2, 4)"


def test_the_setting_of_the_storage_is_named_when_it_is_wrong(monkeypatch):
    monkeypatch.setenv("PENSTOCK_DEFAULT_RESULT_STORAGE_BLOCK", "results")

    @flow(persist_result=True)
    def finds_no_place():
        return 1

    state = finds_no_place(return_state=True)
    assert "PENSTOCK_DEFAULT_RESULT_STORAGE_BLOCK is 'results'" in state.message


def test_the_storage_of_the_settings_is_used_by_flows_that_name_none(accounts, tmp_path, monkeypatch):
    LocalFileSystem(basepath=str(tmp_path / "default")).save("default-place", overwrite=True)
    monkeypatch.setenv("PENSTOCK_DEFAULT_RESULT_STORAGE_BLOCK", "local-file-system/default-place")

    @flow(persist_result=True)
    def says_nothing():
        return 1

    assert says_nothing() == 1
    assert len(list((tmp_path / "default").iterdir())) == 1
    assert accounts.flow_run(says_nothing).state.data["storage_block_id"] is not None


def test_results_travel_between_processes_with_and_without_their_value():
    import pickle

    kept, dropped = Result({"type": "literal", "value": True}, True), Result({"type": "reference", "storage_key": "/x"})
    for result in (kept, dropped):
        found = pickle.loads(pickle.dumps(result))
        assert (found.reference, found.has_cached_object()) == (result.reference, result.has_cached_object())
