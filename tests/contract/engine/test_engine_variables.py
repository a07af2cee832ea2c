"""`penstock.variables`, called as users of Prefect 2 call it."""

import asyncio

import pytest

from penstock import flow, task, variables
from penstock.errors import Conflict, Invalid
from penstock.testing import Fault, FaultProxy
from penstock.variables import Variable


def test_a_variable_is_set_read_and_unset(accounts):
    assert Variable.get("one") is None
    assert Variable.get("one", "default") == variables.get("one", "default") == "default"
    kept = Variable.set("one", "1", tags=["a"])
    assert isinstance(kept, Variable)
    assert (kept.name, kept.value, kept.tags) == ("one", "1", ["a"])
    assert Variable.get("one") == kept
    assert variables.get("one") == "1"
    assert Variable.unset("one") is True
    assert Variable.unset("one") is False
    assert variables.get("one") is None


def test_a_variable_is_overwritten_only_if_that_is_said(accounts):
    Variable.set("two", "1", tags=["a"])
    with pytest.raises(Conflict, match="'two'") as refused:
        Variable.set("two", "2")
    assert "overwrite=True" in str(refused.value.hint)
    changed = Variable.set("two", "2", overwrite=True)
    assert (changed.value, changed.tags) == ("2", [])
    assert Variable.set("two-new", "2", overwrite=True).value == "2"


@pytest.mark.parametrize(("name", "value"), [("Upper", "1"), ("", "1"), ("long", "1" * 5001), ("number", 1)])
def test_a_variable_that_cannot_be_is_refused_before_it_is_sent(name, value):
    with pytest.raises(Invalid, match=r"name|value") as refused:
        Variable.set(name, value)
    assert refused.value.status is None


def test_flows_and_tasks_read_variables_synchronous_or_not(accounts):
    Variable.set("three", "3")

    @task
    def synchronous():
        return variables.get("three")

    @task
    async def asynchronous():
        return await variables.get("three")

    @flow
    def reads():
        return [Variable.get("three").value, synchronous(), synchronous.submit().result()]

    @flow
    async def areads():
        found = [(await Variable.get("three")).value, (await Variable.aget("three")).value]
        found += [synchronous(), await asynchronous(), await variables.aget("three")]
        await Variable.aset("four", "4")
        await Variable.set("four", "3", overwrite=True)
        found.append(await variables.get("four"))
        assert await Variable.unset("four")
        assert not await Variable.aunset("four")
        return found

    assert reads() == ["3"] * 3
    assert asyncio.run(areads()) == ["3"] * 6


def test_a_variable_whose_answer_was_lost_is_set(accounts, monkeypatch):
    with FaultProxy(accounts.server.api_url) as proxy:
        monkeypatch.setenv("PENSTOCK_API_URL", proxy.url)
        lost = proxy.add(Fault("drop_answer", method="POST", path="/api/variables/", times=1))
        assert Variable.set("five", "5").value == "5"
        assert lost.struck == 1
