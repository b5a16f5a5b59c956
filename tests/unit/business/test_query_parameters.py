"""Query strings: paging, sorting, selection and filters (TMF630 Part 1, sections 4.3 to 4.7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.query import ListRequest, fields_of, list_request
from hansa.business.representation import select, selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Filter, SortKey

LIMITS = Limits()
COLLECTION = "http://market.example/tmf-api/productCatalogManagement/v4/productOffering"


def asked(text: str | bytes) -> ListRequest:
    api, resource = load().served("ProductOffering")
    raw = text if isinstance(text, bytes) else text.encode()
    return list_request(raw, api, resource.type, COLLECTION, LIMITS, public_only=True)


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("name=Edge", [Filter(("name",), ("Edge",))]),
        ("name=Edge%20node", [Filter(("name",), ("Edge node",))]),
        ("name=Edge+node", [Filter(("name",), ("Edge node",))]),
        ("name=", [Filter(("name",), ("",))]),
        ("name=a%3Db", [Filter(("name",), ("a=b",))]),
        ("name=a=b", [Filter(("name",), ("a=b",))]),
        ("name=%C3%BCber", [Filter(("name",), ("über",))]),
        (
            "lifecycleStatus=Launched&lifecycleStatus=Retired",
            [Filter(("lifecycleStatus",), ("Launched", "Retired"))],
        ),
        (
            "lifecycleStatus=Launched,Retired",
            [Filter(("lifecycleStatus",), ("Launched,Retired", "Launched", "Retired"))],
        ),
        ("category.id=c1&name=x", [Filter(("category", "id"), ("c1",)), Filter(("name",), ("x",))]),
        ("@type=ProductOffering", [Filter(("@type",), ("ProductOffering",))]),
        ("%40type=ProductOffering", [Filter(("@type",), ("ProductOffering",))]),
        (
            "productOfferingPrice.price.dutyFreeAmount.value=5",
            [Filter(("productOfferingPrice", "price", "dutyFreeAmount", "value"), ("5",))],
        ),
        (
            "prodSpecCharValueUse.productSpecCharacteristicValue.value.any.thing=1",
            [
                Filter(
                    ("prodSpecCharValueUse", "productSpecCharacteristicValue", "value", "any", "thing"),
                    ("1",),
                )
            ],
        ),
        (f"href={COLLECTION}/o1", [Filter(("id",), ("o1",))]),
        ("href=http://elsewhere.example/o1", [Filter(("id",), ("",))]),
        ("&&name=x&", [Filter(("name",), ("x",))]),
    ],
)
def test_filters_are_read(text: str, filters: list[Filter]) -> None:
    assert list(asked(text).query.filters) == filters


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nam=Edge", "'nam' is neither"),
        ("category.idd=c", "category has no 'idd'"),
        ("category.id.x=c", "category.id has no 'x'"),
        ("name.x=c", "name has no 'x'"),
        ("name.gt=c", "Filters compare for equality"),
        ("=c", "neither"),
        ("category..id=c", "has no ''"),
        ("offset=-1", "offset must be"),
        ("offset=1.5", "offset must be"),
        ("offset=٣", "offset must be"),
        ("offset=99999999999999999999999", "offset must be"),
        ("limit=x", "limit must be"),
        ("limit=", "limit must be"),
        ("limit=1&limit=2", "limit must be one whole number"),
        ("sort=nope", "'nope'"),
        ("sort=name,,id", "sort names attributes"),
        ("sort=" + ",".join(["name"] * 9), "at most 8"),
        ("depth=1", "'depth' is neither"),
        ("filter=$.name", "'filter' is neither"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(text: str, told: str) -> None:
    with pytest.raises(Refused) as caught:
        asked(text)
    assert caught.value.code is Code.INVALID
    assert told in caught.value.message


def test_bytes_that_are_no_utf8_are_refused() -> None:
    for raw in (b"name=%FF", b"name=\xff", b"%C3=x"):
        with pytest.raises(Refused) as caught:
            asked(raw)
        assert caught.value.code is Code.MALFORMED


def test_queries_are_bounded_in_length_and_number() -> None:
    with pytest.raises(Refused, match="longer than"):
        asked("name=" + "x" * LIMITS.query_length_max_chars)
    many = "&".join(f"prodSpecCharValueUse.productSpecCharacteristicValue.value.a{n}=1" for n in range(40))
    with pytest.raises(Refused, match="at most 32"):
        asked(many)


@pytest.mark.parametrize(
    ("text", "offset", "limit"),
    [
        ("", 0, LIMITS.list_limit_default),
        ("offset=10", 10, LIMITS.list_limit_default),
        ("offset=0&limit=0", 0, 0),
        ("limit=7&offset=3", 3, 7),
        ("limit=999999", 0, LIMITS.list_limit_max),
    ],
)
def test_pages_have_defaults_and_a_maximum(text: str, offset: int, limit: int) -> None:
    query = asked(text).query
    assert (query.offset, query.limit) == (offset, limit)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("sort=name", [SortKey(("name",))]),
        ("sort=-name,%2BlastUpdate", [SortKey(("name",), descending=True), SortKey(("lastUpdate",))]),
        ("sort=-name,+lastUpdate", [SortKey(("name",), descending=True), SortKey(("lastUpdate",))]),
        ("sort=validFor.startDateTime", [SortKey(("validFor", "startDateTime"))]),
        ("sort=name&sort=id", [SortKey(("name",)), SortKey(("id",))]),
        ("sort=-href", [SortKey(("id",), descending=True)]),
    ],
)
def test_sort_keys_are_read(text: str, keys: list[SortKey]) -> None:
    assert list(asked(text).query.sort) == keys


def test_links_repeat_everything_but_the_paging() -> None:
    assert asked("name=a%20b&offset=3&fields=id&limit=2&sort=-name").kept == "name=a%20b&fields=id&sort=-name"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("name", {"name": "n"}),
        ("name,category", {"name": "n", "category": [{"id": "c", "name": "C"}]}),
        ("category.id", {"category": [{"id": "c"}]}),
        ("category.id,category", {"category": [{"id": "c", "name": "C"}]}),
        ("category.id,category.name", {"category": [{"id": "c", "name": "C"}]}),
        ("name.deeper", {"name": "n"}),
        ("absent", {}),
    ],
)
def test_fields_select_first_and_nested_levels(fields: str, shown: Any) -> None:
    entity = {"id": "o", "name": "n", "category": [{"id": "c", "name": "C"}]}
    chosen = selection(fields.split(","))
    assert select(entity, {**chosen, "id": {}}) == {"id": "o", **shown}


def test_one_entity_takes_fields_alone() -> None:
    assert fields_of(b"", LIMITS) is None
    assert fields_of(b"fields=", LIMITS) is None
    assert fields_of(b"fields=none", LIMITS) == {}
    assert fields_of(b"fields=name%2Cid&fields=href", LIMITS) == {"name": {}, "id": {}}
    with pytest.raises(Refused, match="'name' is no parameter"):
        fields_of(b"name=x", LIMITS)


@given(st.binary(max_size=80))
def test_no_query_string_does_more_than_be_refused(raw: bytes) -> None:
    try:
        limit, status = asked(raw).query.limit, 400
    except Refused as error:
        limit, status = 0, error.http_status
    assert 0 <= limit <= LIMITS.list_limit_max
    assert status == 400
