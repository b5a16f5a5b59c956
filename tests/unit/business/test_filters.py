"""Filters and orders: the store's SQL answers what a plain evaluation in Python answers."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.store import AllOf, AnyOf, Condition, EntityDraft, Filter, Query, SortKey
from hansa.store import Test as StoreTest
from hansa.store.evaluation import equals, matches, ordered
from hansa.store.operators import OPERATORS, REGEX
from hansa.store.sqlite.store import SqliteStore

TEXTS = st.sampled_from(["", "a", "b", "A", "5", "5.0", "true", "ü", "a,b", "o'x", '"', "%"])
REFERENCE = st.fixed_dictionaries({"id": TEXTS}, optional={"name": TEXTS})
MOMENTS = st.sampled_from(
    [
        *("2026-01-31", "2026-01-31T00:00:00Z", "2026-01-31T02:00:00+02:00", "2026-01-30T23:59:59.5-00:30"),
        *(
            "2026",
            "2026-01-31T00:00:00.000Z",
            "2026-02-30",
            "9999-12-31T23:59:60Z",
            "0001-01-01T00:00+01:00",
            "soon",
        ),
    ]
)
VALUES = st.none() | st.booleans() | st.sampled_from([0, 5, -1, 5.0, 5.5, 1e15]) | TEXTS
BODY = st.fixed_dictionaries(
    {"name": TEXTS},
    optional={
        "isBundle": st.booleans(),
        "description": TEXTS | MOMENTS,
        "lastUpdate": MOMENTS,
        "validFor": st.fixed_dictionaries(
            {}, optional={"startDateTime": MOMENTS, "endDateTime": MOMENTS | VALUES}
        ),
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
        ("description",),
        ("lastUpdate",),
        ("validFor", "startDateTime"),
        ("validFor", "endDateTime"),
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
PATTERNS = st.sampled_from(["", "a", "^[ab]$", "(?i)A", "\\d", "5|ü", "\\A(?:a,b)\\z", "^20.*Z$"])
EQUALITIES = st.builds(Filter, PATHS, st.lists(FILTER_TEXTS, min_size=1, max_size=2).map(tuple))
FILTERS = (
    EQUALITIES
    | st.builds(
        Filter,
        PATHS,
        st.lists(FILTER_TEXTS | MOMENTS, min_size=1, max_size=2).map(tuple),
        st.sampled_from([one for one in OPERATORS if one is not REGEX]),
        st.booleans(),
    )
    | st.builds(Filter, PATHS, st.lists(PATTERNS, min_size=1, max_size=2).map(tuple), st.just(REGEX))
)
SORT_KEYS = st.builds(
    SortKey, PATHS.filter(lambda path: path != ("lastUpdate",)), st.booleans(), st.booleans()
) | st.builds(SortKey, st.just(("lastUpdate",)), st.booleans(), st.just(value=True))
TESTS = st.sampled_from(
    [
        StoreTest("has categories", lambda entity, _: bool(entity.get("category"))),
        StoreTest("is a", lambda entity, _: entity["name"] == "a"),
    ]
)
CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    FILTERS | TESTS,
    lambda below: st.builds(
        lambda several, kind: kind(tuple(several)),
        st.lists(below, max_size=3),
        st.sampled_from([AnyOf, AllOf]),
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(BODY, max_size=6),
    st.lists(EQUALITIES, max_size=2) | st.lists(CONDITIONS, max_size=2),
    st.lists(SORT_KEYS, max_size=3),
    st.integers(0, 3),
    st.integers(0, 4),
)
async def test_the_store_and_a_plain_evaluation_agree(
    bodies: list[dict[str, Any]], filters: list[Condition], sort: list[SortKey], offset: int, limit: int
) -> None:
    store = await SqliteStore.open(None, ManualClock(), Limits())
    entities = [{"id": f"o{n}", "@type": "ProductOffering", **body} for n, body in enumerate(bodies)]
    async with store.transaction() as tx:
        for entity in entities:
            body = canonical_json(entity)
            await tx.put(EntityDraft(entity["id"], "ProductOffering", body, hashlink(body), public=True))
    found = [entity for entity in entities if matches(entity, filters)]
    expected = [entity["id"] for entity in ordered(found, sort)]
    page = await store.list(Query("ProductOffering", tuple(filters), tuple(sort), offset, limit))
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
