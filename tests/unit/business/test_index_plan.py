"""Which attributes the store indexes, by collection."""

from __future__ import annotations

import pytest

from hansa.business.index_plan import index_plan
from hansa.core.errors import Code, Fatal
from tests.support.business import MODELS


def test_every_collection_has_a_plan_with_its_status_and_its_references() -> None:
    plan = index_plan(MODELS)
    assert plan.keys() == MODELS.types
    assert plan["ProductOffering"].status == "lifecycleStatus"
    assert plan["ProductOrder"].status == "state"
    assert set(plan["ProductOffering"].indexed) == {
        ("category", "id"),
        ("relatedParty", "id"),
        ("relatedParty", "name"),
    }
    assert {("category", "id"), ("productSpecification", "id")} <= set(plan["ProductOffering"].references)


def test_an_operator_adds_attributes_of_one_type_or_of_all_that_have_them() -> None:
    plan = index_plan(MODELS, ["ProductOffering.version", "externalId"])
    assert ("version",) in plan["ProductOffering"].indexed
    assert ("version",) not in plan["Catalog"].indexed
    assert ("externalId",) in plan["ProductOrder"].indexed
    assert ("externalId",) not in plan["ProductOffering"].indexed


@pytest.mark.parametrize("text", ["ProductOffering.versoin", "nobodyHasThis", "Nothing.name", "", "name.x"])
def test_an_attribute_that_no_type_has_ends_the_start(text: str) -> None:
    with pytest.raises(Fatal) as caught:
        index_plan(MODELS, [text])
    assert caught.value.code is Code.SETTINGS_INVALID
    assert repr(text) in caught.value.message
