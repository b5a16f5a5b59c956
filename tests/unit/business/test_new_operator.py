"""An operator is one value.

A new one is parsed, checked, planned, run and described without anything else.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from hansa.business.openapi import filters as described
from hansa.business.query import filters, parameters
from hansa.core.errors import Refused
from hansa.store import AnyOf, Filter, Query
from hansa.store.evaluation import matches
from hansa.store.operators import OPERATORS, Operator
from tests.support.business import CATALOG, open_business
from tests.unit.business.test_query_operators import conditions
from tests.unit.store.drafts import OFFERING, draft, opened, put

STARTS_WITH: Final = Operator(
    name="startswith",
    title="begins with",
    literals=("^=",),
    inapplicable="a beginning is one of a text, and this is {kind}",
    has_moments=False,
    holds=str.startswith,
    sql="instr({value}, ?) = 1",
)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were one of `OPERATORS`, from which these are made."""
    operators = (*OPERATORS, STARTS_WITH)
    monkeypatch.setattr(parameters, "LITERALS", parameters.Literals(operators))
    monkeypatch.setattr(filters, "SUFFIXES", {name: one for one in operators for name in one.suffixes})
    monkeypatch.setattr(described, "OPERATOR_NAMES", tuple(one.name for one in operators))


@pytest.mark.parametrize("way", ["name.startswith=Edge", "name^=Edge", "name%5E=Edge", "name%5e%3DEdge"])
@pytest.mark.usefixtures("registered")
def test_it_has_a_suffix_and_a_literal_in_either_encoding(way: str) -> None:
    assert conditions(way) == [Filter(("name",), ("Edge",), STARTS_WITH)]


@pytest.mark.usefixtures("registered")
def test_it_is_refused_where_it_does_not_apply() -> None:
    with pytest.raises(Refused, match=r"a beginning is one of a text, and this is a boolean"):
        conditions("isBundle^=t")


async def test_the_store_and_the_evaluation_in_memory_agree_on_it() -> None:
    bodies: list[dict[str, Any]] = [
        {"name": "Edge node"},
        {"name": "Node"},
        {"a": {"b": ["x", "Ed", 5]}},
        {"a": {"b": 5}},
    ]
    drafts = [draft(f"e{n}", **body) for n, body in enumerate(bodies)]
    named = Filter(("name",), ("Ed", "No"), STARTS_WITH)
    below = Filter(("a", "b"), ("E", "5"), STARTS_WITH)
    async with opened() as store:
        await put(store, *drafts)
        for condition in (named, below, AnyOf((named, below)), Filter(("lastUpdate",), ("2",), STARTS_WITH)):
            expected = tuple(f"e{n}" for n, body in enumerate(bodies) if matches(body, [condition]))
            assert (await store.list(Query(OFFERING, (condition,)))).ids == expected
        assert (await store.list(Query(OFFERING, (named,)))).total == 2


@pytest.mark.usefixtures("registered")
async def test_a_list_takes_it_and_its_description_names_it() -> None:
    business = await open_business()
    address = f"{CATALOG}/productOffering"
    for name in ("Edge node", "Edge node, large", "Core network"):
        await business.operator.request("POST", address, {"name": name})
    answer = await business.operator.request("GET", f"{address}?name^=Edge")
    assert [one["name"] for one in answer.json()] == ["Edge node", "Edge node, large"]
    listed = await business.operator.request("GET", f"{CATALOG}/openapi.json")
    assert "startswith" in listed.body.decode()
    await business.store.close()
