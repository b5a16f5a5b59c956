"""Query strings: paging, sorting, selection and filters (TMF630 Part 1, sections 4.3 to 4.7)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.models import load
from hansa.business.query import (
    EntityRequest,
    ListRequest,
    entity_request,
    list_request,
    paging,
    split_paging,
)
from hansa.business.representation import Representation, Selection, select, selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Filter, SortKey
from hansa.store.evaluation import matches
from hansa.store.operators import GT

LIMITS = Limits()
MODELS = load()
COLLECTION = "http://market.example/tmf-api/productCatalogManagement/v4/productOffering"


def requested(text: str | bytes) -> ListRequest:
    api, resource = MODELS.served("ProductOffering")
    raw = text if isinstance(text, bytes) else text.encode()
    return list_request(raw, api, resource, COLLECTION, LIMITS, public_only=True)


def one(text: str) -> EntityRequest:
    api, resource = MODELS.served("ProductOffering")
    return entity_request(text.encode(), api, resource, LIMITS)


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
        ('name="Edge, new"', [Filter(("name",), ('"Edge, new"', "Edge, new"))]),
        (
            'lastUpdate.gt="2026-01-31"',
            [Filter(("lastUpdate",), ("2026-01-31",), GT, is_instant=True)],
        ),
    ],
)
def test_filters_are_read(text: str, filters: list[Filter]) -> None:
    assert list(requested(text).query.filters) == filters


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam=Edge", "'nam' is neither"),
        ("category.idd=c", "category has no 'idd'"),
        ("category.id.x=c", "category.id has no 'x'"),
        ("name.x=c", "name has no 'x'"),
        ("nmae=c", "Did you mean name?"),
        ("name.like=c", "Operators are .gt"),
        ("=c", "neither"),
        ("category..id=c", "has no ''"),
        ("prodSpecCharValueUse.productSpecCharacteristicValue.value..a=c", "value has no"),
        ("prodSpecCharValueUse.productSpecCharacteristicValue.value.a%0Db=c", "value has no"),
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
        ("depth=x", "depth must be"),
        ("depth=9", "from 0 to 3"),
        ("expand=nope", "expand: 'nope' is no attribute path"),
        ("expand=name", "expand: 'name' refers to nothing"),
        ("expand=" + ",".join(f"category{n}" for n in range(17)), "at most 16 paths"),
        ("fields=note[", "fields: 'note[' is no JSONPath"),
        ("sort=category[?(@.id=='x'", "sort: "),
        ("fields=" + ".".join("a" * 99), "longer than entities are deep"),
    ],
)
def test_a_parameter_that_means_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused) as caught:
        requested(text)
    assert caught.value.code is Code.INVALID
    assert message in caught.value.message


def test_bytes_that_are_no_utf8_are_refused() -> None:
    for raw in (b"name=%FF", b"name=\xff", b"%C3=x"):
        with pytest.raises(Refused) as caught:
            requested(raw)
        assert caught.value.code is Code.MALFORMED


def test_queries_are_bounded_in_length_and_number() -> None:
    with pytest.raises(Refused, match="longer than") as caught:
        requested("name=" + "x" * LIMITS.query_length_max_chars)
    assert caught.value.http_status == 414
    many = "&".join(f"prodSpecCharValueUse.productSpecCharacteristicValue.value.a{n}=1" for n in range(40))
    with pytest.raises(Refused, match="at most 32"):
        requested(many)


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
    query = requested(text).query
    assert (query.offset, query.limit) == (offset, limit)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("sort=name", [SortKey(("name",))]),
        (
            "sort=-name,%2BlastUpdate",
            [SortKey(("name",), descending=True), SortKey(("lastUpdate",), is_instant=True)],
        ),
        (
            "sort=-name,+lastUpdate",
            [SortKey(("name",), descending=True), SortKey(("lastUpdate",), is_instant=True)],
        ),
        ("sort=validFor.startDateTime", [SortKey(("validFor", "startDateTime"), is_instant=True)]),
        ("sort=name&sort=id", [SortKey(("name",)), SortKey(("id",))]),
        ("sort=-href", [SortKey(("id",), descending=True)]),
        ("sort=category[*].name", [SortKey(("category", "name"))]),
        ("sort=-$.category[*].name,$['name']", [SortKey(("category", "name"), True), SortKey(("name",))]),
    ],
)
def test_sort_keys_are_read(text: str, keys: list[SortKey]) -> None:
    assert list(requested(text).query.sort) == keys


PARTS = (
    *(
        "offset=20",
        "limit=5",
        "offset=020",
        "limit=",
        "limit=-1",
        "offset=x",
        "offset",
        "limit=2000",
        "limit=99999999999999999",
    ),
    *(
        ".offset=3",
        "%6Fffset=3",
        "Limit=3",
        "offset.gt=3",
        "limit=3;name=x",
        "name=limit=4",
        "name=a%26limit=3",
    ),
    *(
        "name=x",
        "lifecycleStatus=Launched",
        "%40type=ProductOffering",
        "sort=-name",
        "fields=name",
        "unknown=1",
        "",
    ),
)


@given(st.lists(st.sampled_from(PARTS), max_size=5))
def test_a_query_parsed_without_its_page_and_then_with_one_is_the_same(parts: list[str]) -> None:
    text = "&".join(parts)
    taken = split_paging(text.encode())

    def whole() -> ListRequest:
        return requested(text)

    def in_two() -> ListRequest:
        assert taken is not None
        rest, page = taken
        return requested(rest).with_page(paging(page.get(b"offset"), page.get(b"limit"), None, LIMITS))

    if taken is None:
        return
    results: list[ListRequest | Code] = []
    for way in (whole, in_two):
        try:
            results.append(way())
        except Refused as error:
            results.append(error.code)
    assert results[0] == results[1]


def test_the_page_of_an_ordinary_list_is_taken_out() -> None:
    assert split_paging(b"lifecycleStatus=Launched&offset=20&limit=10") == (
        b"lifecycleStatus=Launched",
        {b"offset": ["20"], b"limit": ["10"]},
    )
    assert split_paging(b"lifecycleStatus=Launched") is None


def test_links_repeat_everything_but_the_paging() -> None:
    assert (
        requested("name=a%20b&offset=3&fields=id&limit=2&sort=-name").link_query
        == "name=a%20b&fields=id&sort=-name"
    )
    assert requested("offset=1").link_query == ""
    assert requested("name=x&limit=3;name=y").link_query == "name=x&;name=y"
    assert requested('lastUpdate>2013&name="x"').link_query == "lastUpdate%3E2013&name=%22x%22"
    assert requested("name=ü").link_query == "name=%C3%BC"


@given(st.sampled_from(["name=x", "name=y", "limit=3", "offset=2", "version=1", "sort=name"]), st.data())
def test_what_links_repeat_asks_for_the_same_list(first: str, data: st.DataObject) -> None:
    more = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from("&;"),
                st.sampled_from(
                    ["name=x", "name=y", "isBundle=true", "version=1", "lastUpdate>2013", "sort=id", ""]
                ),
            ),
            max_size=4,
        )
    )
    text = first + "".join(joint + part for joint, part in more)
    query = requested(text).query
    again = requested(f"{requested(text).link_query}&offset={query.offset}&limit={query.limit}").query
    assert again == query


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
    assert select(entity, selection(fields.split(","))) == shown


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ("note[?(@.author=='X')]", {"note": [{"author": "X", "text": "x", "date": 3}]}),
        ("note[?(@.author=='X')].text", {"note": [{"text": "x"}]}),
        ("note[?(@.author=='X')].text,note.date", {"note": [{"text": "x", "date": 3}, {"date": 4}]}),
        ("note[0],name", {"note": [{"author": "X", "text": "x", "date": 3}], "name": "n"}),
        ("$.note[*].text", {"note": [{"text": "x"}, {"text": "y"}]}),
        ("note[?(@.author=='Z, [or] so')]", {}),
        ("$..author", {"note": [{"author": "X"}, {"author": "Y"}]}),
        ("$", {"id": "o", "name": "n", "note": [1, 2]}),
        ("none", {}),
        ("nothing.like.that", {}),
    ],
)
def test_fields_select_by_jsonpath_too(fields: str, shown: Any) -> None:
    note = [{"author": "X", "text": "x", "date": 3}, {"author": "Y", "text": "y", "date": 4}]
    entity = {"id": "o", "name": "n", "note": note}
    chosen = one(f"fields={fields}").fields
    assert chosen is not None
    assert select(entity, chosen) == (entity if fields == "$" else shown)


def test_jsonpaths_of_fields_visit_a_bounded_number_of_values_for_one_answer() -> None:
    chosen = one("fields=$..author,note[*].text").fields
    assert chosen is not None
    shown = Representation("http://market.example/o")
    body = json.dumps({"id": "o", "note": [{"author": "X"}] * 100}).encode()
    assert shown.listed(["o"] * 10, [body] * 10, chosen).count(b'"X"') == 1000
    with pytest.raises(Refused, match="visits more than 25000 values"):
        shown.listed(["o"] * 100, [body] * 100, chosen)


def test_one_entity_takes_fields_expand_and_depth() -> None:
    assert one("") == EntityRequest(None)
    assert one("fields=") == EntityRequest(None)
    assert one("fields=none").fields == Selection()
    assert one("fields=name%2Cid&fields=href").fields == Selection({"name": {}, "id": {}})
    assert one(".fields=name").fields == Selection({"name": {}})
    assert one("expand=category,productSpecification&depth=2") == EntityRequest(
        None, (("category",), ("productSpecification",)), 2
    )
    for wrong in ("name=x", "sort=name", "filter=$.name", "fields.gt=name", "limit=3"):
        with pytest.raises(Refused, match="is no parameter of a single entity"):
            one(wrong)


@pytest.mark.parametrize(
    ("header", "offset", "limit"),
    [
        (b"items=11-20", 10, 10),
        (b"items=1-1", 0, 1),
        (b"items = 11 - 20", 10, 10),
        (b"items=11-", 10, LIMITS.list_limit_default),
        (b"items=1-999999", 0, LIMITS.list_limit_max),
    ],
)
def test_a_range_names_a_page_counted_from_one(header: bytes, offset: int, limit: int) -> None:
    api, resource = MODELS.served("ProductOffering")
    for raw in (b"", b"name=x"):
        result = list_request(raw, api, resource, COLLECTION, LIMITS, public_only=True, range_header=header)
        assert (result.query.offset, result.query.limit, result.is_range, result.is_paged) == (
            offset,
            limit,
            True,
            True,
        )


@pytest.mark.parametrize(
    "header",
    [b"", b"bytes=0-99", b"items=0-9", b"items=20-11", b"items=-5", b"items=1-2,4-5", b"items=x-y", b"\xff"],
)
def test_a_range_that_cannot_be_read_is_as_good_as_none(header: bytes) -> None:
    api, resource = MODELS.served("ProductOffering")
    result = list_request(b"", api, resource, COLLECTION, LIMITS, public_only=True, range_header=header)
    assert (result.query.offset, result.query.limit) == (0, LIMITS.list_limit_default)
    assert not result.is_range
    assert not result.is_paged


def test_offset_and_limit_count_before_a_range() -> None:
    api, resource = MODELS.served("ProductOffering")
    result = list_request(
        b"limit=3", api, resource, COLLECTION, LIMITS, public_only=True, range_header=b"items=11-20"
    )
    assert (result.query.offset, result.query.limit, result.is_range) == (0, 3, False)


def test_a_directive_may_have_a_dot_in_front() -> None:
    assert requested(".sort=name&.limit=3&.offset=2&.fields=name&.depth=1&.expand=category") == requested(
        "sort=name&limit=3&offset=2&fields=name&depth=1&expand=category"
    ).__class__(
        query=requested("sort=name&limit=3&offset=2").query,
        fields=Selection({"name": {}}),
        link_query=".sort=name&.fields=name&.depth=1&.expand=category",
        expand=(("category",),),
        depth=1,
        is_paged=True,
    )


def test_what_is_on_no_list_is_not_implemented() -> None:
    for text in ("sort=category[?(@.id=='x')].name", "sort=category[0].name", "fields=$[(@.length-1)]"):
        with pytest.raises(Refused) as caught:
            requested(text)
        assert caught.value.http_status == 501


FRAGMENTS = st.sampled_from(
    [
        *(
            "name",
            "lastUpdate",
            "isBundle",
            "category.id",
            "filter",
            "fields",
            "sort",
            "limit",
            ".gt",
            ".regex",
        ),
        *(
            "=",
            "==",
            ">",
            ">=",
            "*=",
            "=~",
            "%3E",
            "%3D~",
            "&",
            ";",
            ",",
            "+",
            "%",
            "%ff",
            "$",
            "@",
            "..",
            ".",
        ),
        *(
            "[",
            "]",
            "?(",
            "(",
            ")",
            "'x'",
            "/a/",
            "&&",
            "%26%26",
            "||",
            "!",
            "*",
            "0",
            "-1",
            "2013-04-20",
            "1e999",
        ),
        *("length", "()", "[?(@.name=='x')]", "$[?(", ")]", "ü", " ", "\n", "'\\ud800'"),
    ]
)


@given(st.binary(max_size=80) | st.lists(FRAGMENTS, max_size=12).map(lambda parts: "".join(parts).encode()))
def test_no_query_string_does_more_than_be_refused(raw: bytes) -> None:
    try:
        limit, status = requested(raw).query.limit, 400
    except Refused as error:
        limit, status = 0, error.http_status
    assert 0 <= limit <= LIMITS.list_limit_max
    assert status in {400, 501}


@given(st.lists(FRAGMENTS, max_size=12).map("".join))
def test_no_jsonpath_does_more_than_be_refused(path: str) -> None:
    entity = {"id": "o", "name": "x", "category": [{"id": "c", "name": "C"}], "isBundle": True}
    statuses = set[int]()
    for text in ("filter=" + quote(path), "fields=" + quote(path)):
        try:
            result = requested(text)
        except Refused as error:
            statuses.add(error.http_status)
        else:
            assert matches(entity, result.query.filters) in {True, False}
            if result.fields is not None:
                select(entity, result.fields)
    assert statuses <= {400, 501}
