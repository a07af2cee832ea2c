"""Flows and tasks as methods: what they are bound to is no parameter."""

import asyncio
import sys

import pytest

from penstock import flow, task


class Shop:
    discount = 10

    def __init__(self, name):
        self.name = name

    @task
    def price(self, item: str, count=1):
        return f"{self.name}: {count} {item}"

    @flow
    def sell(self, item: str, count: int = 1):
        mapped = [future.result() for future in self.price.map([item, "bag"])]
        return [self.price(item), self.price.submit(item, count=count).result(), *mapped]

    @classmethod
    @flow
    def class_below(cls, percent: int):
        return cls.discount + percent

    @flow
    @classmethod
    def class_above(cls, percent: int):
        return cls.discount + percent

    @staticmethod
    @flow
    def static_below(percent: int):
        return percent

    @flow
    @staticmethod
    def static_above(percent: int):
        return percent

    @flow
    async def later(self, percent: int):
        return (self.name, percent, await self.waits(percent))

    @task
    async def waits(self, percent):
        await asyncio.sleep(0)
        return percent

    @task
    @classmethod
    def class_task(cls, x):
        return cls.discount + x

    @staticmethod
    @task
    def static_task(x):
        return x


class Outlet(Shop):
    discount = 50


def test_a_method_gets_its_object_which_is_no_parameter(accounts):
    assert Shop("corner").sell("soap", count="2") == [
        "corner: 1 soap",
        "corner: 2 soap",
        "corner: 1 soap",
        "corner: 1 bag",
    ]
    run = accounts.flow_run(Shop.sell)
    assert run.parameters == {"item": "soap", "count": 2}
    assert list(accounts.task_runs(run)) == ["price-0", "price-1", "price-2", "price-3"]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        pytest.param(
            "class_below",
            55,
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 13), reason="classmethod calls no __get__ since Python 3.13"
            ),
        ),
        ("class_above", 55),
        ("static_below", 5),
        ("static_above", 5),
    ],
)
def test_class_methods_and_static_methods_are_decorated_on_either_side(accounts, method, expected):
    assert getattr(Outlet, method)("5") == getattr(Outlet("x"), method)(percent=5) == expected
    assert accounts.flow_runs(getattr(Outlet, method))[-1].parameters == {"percent": 5}


def test_asynchronous_methods_are_awaited(accounts):
    assert asyncio.run(Shop("corner").later("5")) == ("corner", 5, 5)


def test_tasks_may_be_class_methods_and_static_methods(accounts):
    @flow
    def calling():
        return Outlet.class_task(1), Outlet("x").class_task.submit(2).result(), Outlet.static_task(3)

    assert calling() == (51, 52, 3)


def test_a_flow_in_a_class_is_called_like_a_function_with_the_object_given(accounts):
    assert Shop.later.isasync
    assert Shop.static_below.with_options(name="renamed").name == "renamed"
    assert Shop("corner").sell.with_options(name="selling")("soap")[0] == "corner: 1 soap"


def test_a_flow_that_is_an_attribute_of_an_object_stays_as_it_is(accounts):
    @flow
    def free(x):
        return x

    shop = Shop("corner")
    shop.free = free
    assert shop.free is free
    assert shop.free(1) == 1
