"""What hostile queries, hostile entities and curious strangers get."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hansa.business.search.analysis import words_of
from hansa.business.search.answering import Search
from hansa.business.search.making import FOLDED_AT_ONCE
from hansa.business.search.query_text import WORDS_MAX, parse
from hansa.business.search.results import SearchRequest
from hansa.core.access import ANONYMOUS
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.store import Entity, ListCaller
from hansa.store.records import INTERNAL
from hansa.store.search.records import IndexAnswer, IndexQuery, Overlay, Term
from hansa.store.sqlite.search.expressions import expression
from hansa.store.sqlite.search.index import SqliteSearchIndex
from tests.support.business import open_business
from tests.support.searching import READER, Searched, counts, offering, open_searched

HOSTILE_TEXTS = (
    '"',
    '""""',
    "'; DROP TABLE place; --",
    'name : "x" OR text : *',
    "{name text} : secret",
    "NEAR(a b, 5)",
    "a NEAR/2 b AND NOT (c OR d)",
    "^first + second",
    "*",
    "* " * 2000,
    "-",
    "--",
    '-"',
    "a\x00b",
    "\u202eevil\u202c \u200bzero\u200b",
    "\u200b",
    "x" * 7000,
    "( [ { \\ / ) ] }",
    "rank MATCH 1",
    "%00 %s {0} ${x}",
    "٣ ½ ① ﷽",
)
SIGNS = st.text(
    st.sampled_from(string.ascii_letters + '"*-+#^:(){}\\\x00\u200b\u202eé云 '), max_size=WORDS_MAX * 2
)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
async def test_no_text_is_anything_but_words(searched: Searched, text: str) -> None:
    await searched.put(offering("a", "Cloud"), offering("secret", "Cloud", lifecycleStatus="In study"))
    await searched.follower.catch_up()
    page = await searched.page(text)
    assert {hit.id for hit in page.hits} <= {"a"}
    assert isinstance(await searched.suggested(text), list)


@settings(deadline=None, max_examples=300)
@given(SIGNS)
@example('"' * 50)
def test_words_of_a_query_have_no_signs_of_the_engine(text: str) -> None:
    parsed = parse(text, is_typing=True)
    terms = [term for group in parsed.required for term in group] + list(parsed.excluded)
    for word in (word for term in terms for word in (*term.words, *term.forms)):
        assert word
        assert all(sign.isalnum() or sign in "+#" or ord(sign) > 127 for sign in word), repr(word)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=80))
def test_words_lie_where_they_are_in_the_text(text: str) -> None:
    end = 0
    for word in words_of(text, 100):
        assert end <= word.start < word.end <= len(text)
        end = word.end


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=80))
def test_the_words_of_a_text_are_words_of_the_engine(text: str) -> None:
    """An entity's words come back as they are when they are sought."""
    for word in words_of(text, 100):
        assert word.folded.split() == [word.folded]
        assert [again.folded for again in words_of(word.folded, 100)]


async def test_too_many_words_are_refused(searched: Searched) -> None:
    with pytest.raises(Refused) as refused:
        await searched.page(" ".join(f"w{n}" for n in range(WORDS_MAX + 1)))
    assert refused.value.code is Code.INVALID


@pytest.mark.parametrize("size", [10_000, 1_048_576])
async def test_a_query_that_is_too_long_is_refused(searched: Searched, size: int) -> None:
    for path in ("/search", "/search/suggestions"):
        assert (await searched.client.get(f"{path}?q={'a+' * (size // 2)}")).status == 414


@pytest.mark.parametrize(
    "query",
    [
        "q=%FF",
        "q=a&q=b",
        "sort=x",
        "offset=-1",
        "offset=1001",
        "limit=101",
        "limit=a",
        "price_from=x",
        "price_to=nan",
        "price_to=" + "9" * 400,
        "typing=1",
        "unknown=1",
        "=",
        "%00",
        "&".join(f"category=c{n}" for n in range(51)),
        "q.gt=1",
    ],
)
async def test_a_malformed_query_is_refused_with_a_reason(searched: Searched, query: str) -> None:
    answer = await searched.client.get(f"/search?{query}")
    assert (answer.status, bool(answer.json()["reason"])) == (400, True)


async def test_a_wrong_token_is_refused(searched: Searched) -> None:
    stranger = searched.client.with_headers(authorization="Bearer forged")
    assert (await stranger.get("/search?q=a")).status == 401
    assert (await stranger.get("/search/suggestions?q=a")).status == 401


SECRET = {
    **offering("secret", "Zyxxgorp", "Wombat", category=[{"id": "hidden", "name": "Covert"}]),
    "lifecycleStatus": "In study",
    "place": [{"name": "Atlantis"}],
}


async def test_nothing_private_shows_to_strangers_in_any_way(searched: Searched) -> None:
    await searched.put(
        SECRET,
        offering("a", "Wombat"),
        {"id": "hidden", "@type": "Category", "name": "Covert", "lifecycleStatus": "In study"},
    )
    for _ in range(2):
        for text in ("zyxxgorp", "zyxgorp", "zyx*", "covert", "wombat", "", "atlantis"):
            page = await searched.page(text)
            shown = msgspec.json.encode(page).decode().lower()
            assert "secret" not in shown
            assert "covert" not in shown.replace(f'"{text}"', "")
            assert "zyxxgorp" not in shown.replace(f'"{text}"', "")
            assert "atlantis" not in counts(page, "region")
            assert "In study" not in counts(page, "status")
        assert await searched.suggested("zyx") == []
        assert await searched.suggested("cov") == []
        assert "secret" in await searched.ids("zyxxgorp", READER)
        await searched.follower.catch_up()


async def test_answers_are_the_same_whatever_is_private(searched: Searched, tmp_path: Path) -> None:
    public = [offering(f"o{n}", f"Wombat {n}", "apple " * n + "pear") for n in range(6)]
    private = [
        {**offering(f"p{n}", "Apple", "apple apple"), "lifecycleStatus": "In study"} for n in range(40)
    ]
    (tmp_path / "other").mkdir()
    async with open_searched(tmp_path / "other") as other:
        await searched.put(*public)
        await other.put(*public, *private)
        for one in (searched, other):
            await one.follower.catch_up()
        for text in ("apple", "pear", "wombat apple", "aple", ""):
            expected, page = await searched.page(text), await other.page(text)
            assert msgspec.structs.replace(page, hits=()) == msgspec.structs.replace(expected, hits=())
            assert [hit.id for hit in page.hits] == [hit.id for hit in expected.hits]


async def test_private_attributes_of_an_organization_are_not_searched(searched: Searched) -> None:
    organization = {
        "id": "org",
        "@type": "Organization",
        "tradingName": "Acme",
        "partyCharacteristic": [{"name": "Compliance:Hidden"}, {"name": "diagnosis", "value": "bankrupt"}],
        "contactMedium": [{"mediumType": "email", "characteristic": {"emailAddress": "jane@acme.example"}}],
    }
    await searched.put(organization, offering("a", "x", relatedParty=[{"id": "org", "role": "Seller"}]))
    for text in ("bankrupt", "jane", "diagnosis", "hidden"):
        assert await searched.ids(text) == []
    assert await searched.ids("acme") == ["a", "org"]
    assert counts(await searched.page("acme"), "compliance") == {}


async def test_people_and_orders_are_not_searched_by_anybody(searched: Searched) -> None:
    await searched.put(
        {"id": "jane", "@type": "Individual", "givenName": "Jane", "name": "Jane Doe"},
        {"id": "order", "@type": "ProductOrder", "name": "Jane's order", "description": "jane"},
    )
    assert await searched.ids("jane", READER) == []


async def test_what_is_deleted_while_it_is_searched_is_left_out(searched: Searched) -> None:
    await searched.put(offering("a", "Quokka"), offering("b", "Quokka"))
    await searched.follower.catch_up()

    class Deleting(SqliteSearchIndex):
        async def answer(
            self, query: IndexQuery, overlay: Overlay, caller: ListCaller = INTERNAL
        ) -> IndexAnswer:
            result = await super().answer(query, overlay, caller)
            await searched.delete("a")
            await searched.put({**offering("b", "Quokka"), "lifecycleStatus": "In study"})
            return result

    index = Deleting(Path(searched.index._path), SystemClock(), 60.0)  # type: ignore[attr-defined]
    try:
        search = Search(searched.business.context, index, searched.follower.unindexed)
        page = await search.page(ANONYMOUS, SearchRequest("quokka"))
        assert page.hits == ()
    finally:
        await index.close()


HOSTILE_NAMES = (
    "<script>alert(1)</script> wombat",
    "wombat\u202e\u202d\u2066 evil",
    "w\u200bo\u200bmbat",
    "wombat" + "\u0301" * 500,
    "javascript:wombat",
    "wombat " + "x" * 5000,
    "\ud7ff wombat \ue000",
    "{{ wombat }} ${wombat}",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
async def test_hostile_names_are_shown_as_they_are_with_ranges_inside_them(
    searched: Searched, name: str
) -> None:
    await searched.put(offering("a", name))
    for _ in range(2):
        (hit,) = (await searched.page("wombat*")).hits
        assert hit.name.text == name[:300]
        assert all(0 <= one.start < one.end <= len(hit.name.text) for one in hit.name.highlights)
        await searched.follower.catch_up()


async def test_a_large_entity_is_found_by_its_beginning_and_costs_a_bounded_part(searched: Searched) -> None:
    words = " ".join(f"w{n}" for n in range(110_000))
    await searched.put(offering("large", "Quokka", words), offering("small", "Quokka"))
    await searched.follower.catch_up()
    assert set(await searched.ids("quokka")) == {"large", "small"}
    assert await searched.ids("w1") == ["large"]
    assert (await searched.page('"w109999"')).total == 0


async def test_entities_of_odd_forms_are_searched_as_far_as_they_can_be_read(searched: Searched) -> None:
    odd: dict[str, object] = {
        "category": [None, 5, {"id": 7}, {"id": "c", "name": 8}],
        "relatedParty": "x",
        "place": {"name": ["a"]},
        "productOfferingPrice": [
            {"price": {"value": "many"}},
            {"price": 5, "priceType": []},
            9,
            {"price": {"value": 1e300}},
        ],
        "productSpecification": [{"id": "spec"}],
        "prodSpecCharValueUse": [{"name": None}, 3],
        "description": ["x"],
        "lastUpdate": "9999-99-99",
    }
    await searched.put(offering("odd", "Quokka", **odd))
    for _ in range(2):
        assert await searched.ids("quokka") == ["odd"]
        await searched.follower.catch_up()


async def test_categories_that_are_above_themselves_end(searched: Searched) -> None:
    await searched.put(
        *(
            {"id": one, "@type": "Category", "name": one, "parentId": other, "lifecycleStatus": "Launched"}
            for one, other in ("xy", "yx")
        ),
        offering("a", "Quokka", category=[{"id": "x"}]),
    )
    await searched.follower.catch_up()
    assert await searched.ids("quokka", category="y") == ["a"]


async def test_a_flood_of_different_searches_is_refused_beyond_what_waits(searched: Searched) -> None:
    await searched.put(offering("a", "Quokka"))
    await searched.follower.catch_up()
    stranger = searched.client
    answers = await asyncio.gather(*(stranger.get(f"/search?q=w{n}") for n in range(300)))
    refused = [one for one in answers if one.status != 200]
    assert refused
    assert all(one.status in {429, 503} and "retry-after" in one.headers for one in refused)
    assert len(answers) - len(refused) >= 60
    known = await searched.client.with_headers(authorization="Bearer reader").get("/search?q=quokka")
    assert known.status == 200


async def test_an_index_that_was_killed_while_it_was_filled_goes_on(tmp_path: Path) -> None:
    async with open_searched(tmp_path) as first:
        await first.put(*(offering(f"o{n}", f"Quokka {n}") for n in range(450)))
        await first.follower.begin()
        assert await first.follower.step()
        position = await first.index.position()
        assert 0 < position.change < 450
        async with open_searched(tmp_path, first.business) as second:
            assert (await second.page("quokka")).total == 450
            await second.follower.catch_up()
            assert await second.index.count() == 450
            assert (await second.page("quokka")).total == 450


async def test_an_index_of_another_store_is_built_anew(tmp_path: Path) -> None:
    async with open_searched(tmp_path) as first:
        await first.put(offering("a", "Quokka"), offering("b", "Wombat"))
        await first.follower.catch_up()
    async with open_searched(tmp_path) as second:
        await second.put(offering("c", "Wombat"))
        await second.follower.begin()
        assert await second.ids("quokka") == []
        await second.follower.catch_up()
        assert (await second.ids("wombat"), await second.index.count()) == (["c"], 1)


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 100])
async def test_a_file_that_is_no_index_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "search.db").write_bytes(content)
    async with open_searched(tmp_path) as searched:
        await searched.put(offering("a", "Quokka"))
        await searched.follower.catch_up()
        assert (await searched.ids("quokka"), await searched.index.count()) == (["a"], 1)


async def test_an_index_that_is_damaged_while_it_is_used_is_made_anew(tmp_path: Path) -> None:
    async with open_searched(tmp_path) as first:
        await first.put(*(offering(f"o{n}", f"Quokka {n}") for n in range(300)))
        await first.follower.catch_up()
    path = tmp_path / "search.db"
    content = bytearray(path.read_bytes())
    for at in range(4096, len(content), 97):
        content[at] ^= 0xFF
    path.write_bytes(content)
    async with open_searched(tmp_path) as second:
        await second.put(offering("a", "Quokka"))
        for _ in range(3):
            try:
                await second.follower.catch_up()
            except Unavailable:
                continue
            break
        assert await second.ids("quokka") == ["a"]


async def test_more_changes_than_are_searched_beside_the_index_are_told(searched: Searched) -> None:
    for start in range(0, 2500, 500):
        await searched.put(*(offering(f"o{n}", f"Quokka {n}") for n in range(start, start + 500)))
    page = await searched.page("quokka")
    assert (page.total, page.unsearched) == (2000, 500)
    assert await searched.ids("2499") == ["o2499"]
    await searched.follower.catch_up()
    page = await searched.page("quokka")
    assert (page.total, page.unsearched) == (2500, 0)


def test_words_are_quoted_wherever_they_come_from() -> None:
    query = IndexQuery(((Term(("or",), ("and", "not"), is_prefix=True),),), (Term(("near", "name")),))
    assert expression(query) == (
        '(({name related text} : "or" * OR {name_forms related_forms text_forms} : "and" OR '
        '{name_forms related_forms text_forms} : "not" OR {name_forms} : "or")) NOT ({name related text} : "near name")'
    )


async def test_facets_with_very_many_values_are_cut_and_say_so(searched: Searched) -> None:
    await searched.put(*(offering(f"o{n}", "Quokka", place=[{"name": f"Region {n}"}]) for n in range(120)))
    await searched.follower.catch_up()
    page = await searched.page("quokka", region="Region 7")
    (region,) = [one for one in page.facets if one.name == "region"]
    assert (len(region.values) <= 31, region.is_cut) == (True, True)
    assert [one.value for one in region.values if one.is_selected] == ["Region 7"]


async def test_an_index_whose_damage_a_search_notices_is_made_anew_and_followed_again(tmp_path: Path) -> None:
    business = await open_business()
    async with open_searched(tmp_path, business) as first:
        await first.put(*(offering(f"o{n}", f"Quokka {n}") for n in range(300)))
        await first.follower.catch_up()
    async with open_searched(tmp_path, business) as second:
        await second.follower.begin()
        path = tmp_path / "search.db"
        content = bytearray(path.read_bytes())
        content[4096:] = bytes(len(content) - 4096)
        path.write_bytes(content)
        with pytest.raises(Unavailable, match="anew"):
            await second.page("quokka")
        await second.put(offering("new", "Quokka"))
        with pytest.raises(Unavailable, match="anew"):  # it is not where the follower believes it to be
            await second.follower.step()
        await second.follower.catch_up()
        assert (await second.page("quokka")).total == 301
        assert await second.index.count() == 301
    await business.store.close()


async def test_what_is_folded_into_others_is_read_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An offering names fifty prices; each may have a megabyte, and twenty-five are indexed together."""
    async with open_searched(tmp_path) as searched:
        prices = [
            {"@type": "ProductOfferingPrice", "id": f"urn:price:{n}", "name": f"p{n}"} for n in range(100)
        ]
        await searched.put(*prices)
        await searched.put(
            offering("urn:one", "one", productOfferingPrice=[{"id": one["id"]} for one in prices[:50]]),
            offering("urn:two", "two", productOfferingPrice=[{"id": one["id"]} for one in prices[50:]]),
        )
        store = searched.business.store
        read: list[int] = []
        entities = store.entities

        async def counted(ids: Sequence[str]) -> dict[str, Entity]:
            read.append(len(ids))
            return await entities(ids)

        monkeypatch.setattr(store, "entities", counted)
        assert set(await searched.ids()) >= {"urn:one", "urn:two"}
        assert max(read) <= FOLDED_AT_ONCE
        assert sum(read) > FOLDED_AT_ONCE
