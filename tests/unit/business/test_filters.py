"""Filters and orders: the store's SQL answers what a plain evaluation in Python answers."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.business.evaluation import equals, matches
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store import EntityDraft, Filter, Query, Store

TEXTS = st.sampled_from(["", "a", "b", "A", "5", "5.0", "true", "ü", "a,b", "o'x", '"', "%"])
REFERENCE = st.fixed_dictionaries({"id": TEXTS}, optional={"name": TEXTS})
VALUES = st.none() | st.booleans() | st.sampled_from([0, 5, -1, 5.0, 5.5, 1e15]) | TEXTS
BODY = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={
        "isBundle": st.booleans(),
        "lifecycleStatus": st.sampled_from(["Launched", "Retired"]),
        "category": st.lists(REFERENCE, max_size=3),
        "relatedParty": st.lists(REFERENCE, max_size=2),
        "productSpecification": REFERENCE,
        "productOfferingTerm": st.lists(
            st.fixed_dictionaries(
                {}, optional={"duration": st.fixed_dictionaries({"amount": st.sampled_from([1, 5, 5.0])})}
            ),
            max_size=2,
        ),
        "prodSpecCharValueUse": st.lists(
            st.fixed_dictionaries(
                {
                    "productSpecCharacteristicValue": st.lists(
                        st.fixed_dictionaries({"value": VALUES | st.lists(VALUES, max_size=2)}), max_size=2
                    )
                }
            ),
            max_size=2,
        ),
    },
)
PATHS = st.sampled_from(
    [
        ("id",),
        ("name",),
        ("isBundle",),
        ("lifecycleStatus",),
        ("category", "id"),
        ("category", "name"),
        ("relatedParty", "id"),
        ("productSpecification", "id"),
        ("productSpecification", "name"),
        ("productOfferingTerm", "duration", "amount"),
        ("prodSpecCharValueUse", "productSpecCharacteristicValue", "value"),
    ]
)
FILTER_TEXTS = TEXTS | st.sampled_from(
    ["Launched", "0", "-1", "5.5", "1", "false", "null", "o1", "1000000000000000"]
)
FILTERS = st.lists(
    st.builds(Filter, PATHS, st.lists(FILTER_TEXTS, min_size=1, max_size=2).map(tuple)), max_size=2
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(BODY, max_size=6), FILTERS, st.integers(0, 3), st.integers(0, 4))
async def test_the_store_and_a_plain_evaluation_agree(
    bodies: list[dict[str, Any]], filters: list[Filter], offset: int, limit: int
) -> None:
    store = await Store.open(None, ManualClock(), Limits())
    entities = [{"id": f"o{n}", "@type": "ProductOffering", **body} for n, body in enumerate(bodies)]
    async with store.transaction() as tx:
        for entity in entities:
            body = canonical_json(entity)
            await tx.put(EntityDraft(entity["id"], "ProductOffering", body, hashlink(body), public=True))
    expected = [entity["id"] for entity in entities if matches(entity, filters)]
    page = await store.list(Query("ProductOffering", tuple(filters), (), offset, limit))
    assert list(page.ids) == expected[offset : offset + limit]
    assert page.total == len(expected)
    await store.close()


@given(st.text(max_size=5), VALUES)
def test_a_value_equals_its_own_text_and_nothing_is_an_error(text: str, value: Any) -> None:
    assert equals(value, text) in {True, False}
    if isinstance(value, str):
        assert equals(value, value)
    if isinstance(value, bool):
        assert equals(value, str(value).lower())
    elif isinstance(value, int | float):
        assert equals(value, str(value))
