"""The page of an entity of any type, from whatever its body has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.portal.catalogue.details.anything import (
    DEPTH_MAX,
    ROWS_MAX,
    VALUES_MAX,
    EntityValue,
    entity_page,
)
from hansa.portal.catalogue.origins import Provenance

PROVENANCE = Provenance("riga", "did:web:riga.example", None, False, None)


def depth(values: tuple[EntityValue, ...]) -> int:
    return max((1 + depth(one.rows) for one in values), default=0)


def count(values: tuple[EntityValue, ...]) -> int:
    return sum(1 + count(one.rows) for one in values)


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5000),
        lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
        max_leaves=40,
    )
)
def test_whatever_a_body_has_becomes_a_page_of_bounded_depth(body: object) -> None:
    fields = {"id": "x", "deep": body, "validFor": body, "name": body, "long": [body] * 300}
    page = entity_page("Thing", fields, PROVENANCE, "/x", is_public=True)
    assert depth(page.values) <= DEPTH_MAX + 2
    assert count(page.values) <= VALUES_MAX + 2 * ROWS_MAX


def test_a_list_beyond_the_bound_is_cut_and_the_page_says_so() -> None:
    page = entity_page(
        "Thing", {"id": "x", "many": list(range(1, ROWS_MAX + 2))}, PROVENANCE, "/x", is_public=True
    )
    assert page.is_cut
    assert len(page.values[0].rows) == ROWS_MAX


def test_money_times_and_references_are_recognised() -> None:
    fields = {
        "id": "x",
        "price": {"unit": "EUR", "value": 12.5},
        "orderDate": "2026-11-28T10:00:00Z",
        "agreement": [{"id": "urn:x:1", "name": "Terms", "role": "base"}],
    }
    page = entity_page("Thing", fields, PROVENANCE, "/x", is_public=True)
    assert [(one.kind, one.text, one.currency) for one in page.values] == [
        ("money", "12.5", "EUR"),
        ("time", "2026-11-28T10:00:00Z", ""),
    ]
    assert [(one.label, one.path) for one in page.references] == [("Agreement (base)", "/entities/urn:x:1")]
