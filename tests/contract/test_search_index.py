"""Every index of the search: what it finds, counts and orders, and what it does not tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.clock import SystemClock
from hansa.store.search.interface import SearchIndex
from hansa.store.search.records import IndexBatch, IndexPosition, IndexQuery, Overlay, SearchDocument, Term
from hansa.store.sqlite.search.index import SqliteSearchIndex
from tests.support.plain_search import PlainSearchIndex

Engine = Literal["sqlite", "plain"]
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
NOTHING_NEWER: Final[Overlay] = {}
EVERYTHING: Final = IndexQuery(limit=100)


@asynccontextmanager
async def opened(engine: Engine, folder: Path) -> AsyncIterator[SearchIndex]:
    """An empty index, closed at the end."""
    index: SearchIndex = (
        PlainSearchIndex()
        if engine == "plain"
        else SqliteSearchIndex(folder / "search.db", SystemClock(), 60.0)
    )
    try:
        yield index
    finally:
        await index.close()


@pytest.fixture(params=ENGINES)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SearchIndex]:
    async with opened(request.param, tmp_path) as one:
        yield one


def document(
    id: str,
    name: str = "",
    text: str = "",
    facets: tuple[tuple[str, str], ...] = (("status", "Launched"),),
    **more: object,
) -> SearchDocument:
    """A document of a name and a text."""
    base = SearchDocument(id, 0, True, (name, name, "", "", text, text), name, facets)
    return msgspec.structs.replace(base, **more)


def words(*each: str, **more: object) -> IndexQuery:
    """A question for words, all of them."""
    query = IndexQuery(tuple((Term((one,), (one,)),) for one in each), limit=100)
    return msgspec.structs.replace(query, **more)


async def put(index: SearchIndex, *documents: SearchDocument, removed: tuple[str, ...] = ()) -> None:
    await index.put(IndexBatch(None, documents, removed))


async def ids(index: SearchIndex, query: IndexQuery, newer: Overlay = NOTHING_NEWER) -> tuple[str, ...]:
    return (await index.answer(query, newer)).ids


# -- what is a hit ---------------------------------------------------------------------------------------------


async def test_all_words_have_to_be_in_a_document(index: SearchIndex) -> None:
    await put(
        index, document("a", "cloud storage"), document("b", "cloud", "a store"), document("c", "storage")
    )
    assert set(await ids(index, words("cloud", "storage"))) == {"a"}


async def test_a_phrase_has_its_words_one_behind_the_other(index: SearchIndex) -> None:
    await put(
        index,
        document("a", "object storage"),
        document("b", "storage object"),
        document("c", "object cloud storage"),
    )
    phrase = IndexQuery(((Term(("object", "storage")),),))
    assert await ids(index, phrase) == ("a",)


async def test_what_is_excluded_is_no_hit(index: SearchIndex) -> None:
    await put(index, document("a", "cloud backup"), document("b", "cloud"))
    assert await ids(index, words("cloud", excluded=(Term(("backup",)),))) == ("b",)
    assert await ids(index, msgspec.structs.replace(EVERYTHING, excluded=(Term(("cloud",)),))) == ()


async def test_a_prefix_finds_the_words_that_begin_so(index: SearchIndex) -> None:
    await put(index, document("a", "kubernetes"), document("b", "kubelet"), document("c", "docker"))
    assert set(await ids(index, IndexQuery(((Term(("kube",), is_prefix=True),),)))) == {"a", "b"}


async def test_one_letter_is_a_word_and_no_beginning(index: SearchIndex) -> None:
    await put(index, document("a", "plan k"), document("b", "kubernetes"))
    assert await ids(index, IndexQuery(((Term(("k",), is_prefix=True),),))) == ("a",)


async def test_a_document_that_is_put_again_has_only_its_new_words(index: SearchIndex) -> None:
    await put(index, document("a", "before"))
    await put(index, document("a", "after"))
    assert await ids(index, words("before")) == ()
    assert await ids(index, words("after")) == ("a",)
    assert await index.count() == 1


async def test_a_document_whose_kind_changes_is_one_document(index: SearchIndex) -> None:
    await put(index, document("a", "cloud"))
    await put(index, document("a", "cloud", kind=3))
    assert await ids(index, words("cloud")) == ("a",)
    assert await index.count() == 1


async def test_a_removed_document_is_no_hit_and_leaves_no_word(index: SearchIndex) -> None:
    await put(index, document("a", "kubernetes"))
    await put(index, removed=("a", "unknown"))
    assert await ids(index, words("kubernetes")) == ()
    assert await index.similar(["kubernetes"], with_private=True) == {"kubernetes": ()}
    assert await index.beginning("kube", 10, with_private=True) == ()
    assert await index.count() == 0


async def test_only_some_documents_are_looked_at_where_a_question_names_them(index: SearchIndex) -> None:
    await put(index, *(document(each, "cloud") for each in "abc"))
    answer = await index.answer(words("cloud", among=("b", "none")), NOTHING_NEWER)
    assert (answer.ids, answer.total) == (("b",), 1)


async def test_only_one_kind_is_looked_at_where_a_question_names_it(index: SearchIndex) -> None:
    red = (("colour", "red"),)
    await put(index, document("a", "cloud"), document("b", "cloud", kind=1, facets=red), document("c", "x"))
    newer = {"d": document("d", "cloud", kind=1, facets=red), "e": document("e", "cloud")}
    assert set(await ids(index, words("cloud", kind=0), newer)) == {"a", "e"}
    everything = msgspec.structs.replace(EVERYTHING, kind=1, order="newest")
    answer = await index.answer(everything, newer)
    assert (set(answer.ids), answer.total, answer.counts) == ({"b", "d"}, 2, {"colour": {"red": 2}})


async def test_a_price_is_within_both_bounds(index: SearchIndex) -> None:
    await put(
        index,
        *(document(f"d{price}", "cloud", price=float(price)) for price in (1, 5, 9)),
        document("none", "cloud"),
    )
    query = words("cloud", price_from=5.0, price_to=9.0)
    assert set(await ids(index, query)) == {"d5", "d9"}


# -- in which order --------------------------------------------------------------------------------------------


async def test_smaller_kinds_come_first_whatever_they_score(index: SearchIndex) -> None:
    await put(index, document("spec", "cloud", kind=1), document("offering", "x", "the cloud and more of it"))
    assert await ids(index, words("cloud")) == ("offering", "spec")


async def test_a_name_outweighs_a_text_and_the_whole_name_everything(index: SearchIndex) -> None:
    await put(
        index,
        document("text", "other", "helm helm helm"),
        document("name", "helm for all of us"),
        document("exact", "helm", " ".join(f"w{n}" for n in range(400))),
        *(document(f"d{n}", f"other{n}") for n in range(20)),
    )
    assert await ids(index, words("helm")) == ("exact", "name", "text")


async def test_hits_are_sorted_by_price_and_by_date(index: SearchIndex) -> None:
    await put(
        index,
        document("dear", "cloud", price=9.0, updated_ms=1),
        document("cheap", "cloud", price=1.0, updated_ms=2),
        document("none", "cloud", updated_ms=3),
    )
    assert await ids(index, words("cloud", order="price")) == ("cheap", "dear", "none")
    assert await ids(index, words("cloud", order="newest")) == ("none", "cheap", "dear")
    assert await ids(index, msgspec.structs.replace(EVERYTHING, order="newest", offset=1, limit=1)) == (
        "cheap",
    )


async def test_of_very_many_hits_those_that_say_it_in_their_name_come_first(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.store.sqlite.search.reading.SCORED_MAX", 5)
    await put(
        index,
        *(document(f"d{n}", f"other{n}", "helm and more") for n in range(8)),
        document("often", "other", "helm helm helm"),
        document("named", "helm chart", "and more"),
        document("exact", "helm", "and more"),
        document("spec", "helm", kind=1),
    )
    found = await ids(index, words("helm"))
    assert (found[:3], found[-1], len(found)) == (("exact", "named", "often"), "spec", 12)
    assert await ids(index, words("helm", offset=1, limit=2)) == found[1:3]


async def test_a_word_tells_the_more_the_fewer_documents_have_it_now(index: SearchIndex) -> None:
    fillers = [document(f"common-{number}", "offer", "common") for number in range(200)]
    frequent = [document(f"beta-{number}", "offer", "beta") for number in range(20)]
    hits = document("alpha", "offer", "common alpha"), document("beta", "offer", "common beta")
    await put(index, *fillers, *frequent, *hits)
    either = IndexQuery(((Term(("common",)),), (Term(("alpha",)), Term(("beta",)))), limit=2)
    assert await ids(index, either) == ("alpha", "beta")
    await put(index, *(document(f"alpha-{number}", "offer", "alpha") for number in range(40)))
    assert await ids(index, either) == ("beta", "alpha")


# -- facets ----------------------------------------------------------------------------------------------------


async def test_a_facet_is_counted_as_if_nothing_of_it_were_selected(index: SearchIndex) -> None:
    red, blue, big, small = ("colour", "red"), ("colour", "blue"), ("size", "big"), ("size", "small")
    await put(
        index,
        *(
            document(f"d{n}", "cloud", facets=facets)
            for n, facets in enumerate([(red, big), (red, small), (blue, big), (blue, big)])
        ),
    )
    answer = await index.answer(words("cloud", selections=(("colour", ("red",)),)), NOTHING_NEWER)
    assert answer.total == 2
    assert answer.counts == {"colour": {"red": 2, "blue": 2}, "size": {"big": 1, "small": 1}}
    assert set(answer.ids) == {"d0", "d1"}


async def test_what_is_selected_of_very_many_is_counted_exactly_and_in_order(
    index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.store.sqlite.search.placed_facets.AT_ONCE", 3)
    monkeypatch.setattr("hansa.store.sqlite.search.matching.COUNTED_MAX", 5)
    await put(
        index,
        *(
            document(
                f"d{n:02}",
                "cloud",
                facets=(("region", "DE" if n % 2 else "FR"), ("status", "Launched" if n % 3 else "Draft")),
                kind=n % 2,
                price=float(n),
                updated_ms=n,
            )
            for n in range(20)
        ),
    )
    chosen = (("region", ("DE",)), ("status", ("Draft",)))
    for text in ((), ((Term(("cloud",)),),)):
        query = IndexQuery(text, selections=chosen, order="price")
        answer = await index.answer(query, NOTHING_NEWER)
        assert (answer.ids, answer.total, answer.is_sampled) == (("d03", "d09", "d15"), 3, False)
        assert answer.counts == {"region": {"DE": 3, "FR": 4}, "status": {"Draft": 3, "Launched": 7}}
        newest = await index.answer(msgspec.structs.replace(query, order="newest", limit=2), NOTHING_NEWER)
        assert newest.ids == ("d15", "d09")


async def test_values_are_named_by_documents_that_may_be_found(index: SearchIndex) -> None:
    facets = (("provider", "p"),)
    await put(
        index,
        document("open", "cloud", facets=facets, labels=(("provider", "p", "Open"),)),
        document("secret", "cloud", facets=facets, labels=(("provider", "p", "Secret"),), is_public=False),
    )
    answer = await index.answer(words("cloud", named_facets=("provider",)), NOTHING_NEWER)
    assert answer.labels == {("provider", "p"): "Open"}


async def test_a_facet_with_very_many_values_is_counted_as_one_with_few(index: SearchIndex) -> None:
    def facets(number: int) -> tuple[tuple[str, str], ...]:
        return (("colour", "red" if number % 2 else "blue"), ("provider", f"p{number % 70:02}"))

    await put(index, *(document(f"d{number}", "cloud", facets=facets(number)) for number in range(70)))
    await put(index, *(document(f"d{number}", "cloud", facets=facets(number)) for number in range(60, 140)))
    await put(index, removed=("d0", "d139"))
    counts = (await index.answer(words("cloud"), NOTHING_NEWER)).counts
    assert counts["colour"] == {"red": 69, "blue": 69}
    assert counts["provider"] == {f"p{number:02}": 2 - (number in {0, 69}) for number in range(70)}


async def test_a_question_that_is_asked_again_is_answered_anew_after_a_change(index: SearchIndex) -> None:
    facets, query = (("provider", "p"),), words("cloud", named_facets=("provider",))
    for number, label in enumerate(("Before", "After")):
        await put(index, document(f"d{number}", "cloud", facets=facets, labels=((*facets[0], label),)))
        answers = [await index.answer(query, NOTHING_NEWER) for _ in range(2)]
        assert [one.labels for one in answers] == [{("provider", "p"): label}] * 2
        assert [one.counts["provider"]["p"] for one in answers] == [number + 1] * 2
    await index.empty(IndexPosition())
    assert await ids(index, query) == ()


async def test_pages_together_have_each_hit_once_and_in_order(index: SearchIndex) -> None:
    await put(
        index,
        *(document(f"{number:03}", f"cloud {number}", updated_ms=number % 7) for number in range(150)),
    )
    for question in (words("cloud"), EVERYTHING, words("cloud", order="newest")):
        whole = await ids(index, msgspec.structs.replace(question, limit=200))
        assert len(whole) == 150
        pages = [
            await index.answer(msgspec.structs.replace(question, offset=offset, limit=20), NOTHING_NEWER)
            for offset in range(0, 180, 20)
        ]
        assert [id for page in pages for id in page.ids] == list(whole)
        assert {page.total for page in pages} == {150}


async def test_putting_an_index_together_changes_no_answer(index: SearchIndex) -> None:
    await put(index, document("a", "cloud"))
    await put(index, document("b", "cloud storage"), document("s", "cloud", is_public=False))
    before = await index.answer(words("cloud", with_private=True), NOTHING_NEWER)
    await index.compact()
    assert await index.answer(words("cloud", with_private=True), NOTHING_NEWER) == before


# -- private documents -----------------------------------------------------------------------------------------


async def test_what_is_private_is_neither_found_nor_counted_nor_suggested(index: SearchIndex) -> None:
    secret = document("s", "classified", "cloud", is_public=False, facets=(("status", "In study"),))
    await put(index, document("a", "cloud"), secret)
    answer = await index.answer(words("cloud"), NOTHING_NEWER)
    assert (answer.ids, answer.total, answer.counts) == (("a",), 1, {"status": {"Launched": 1}})
    assert await ids(index, words("classified")) == ()
    assert await index.similar(["clasified", "classified"], with_private=False) == {
        "clasified": (),
        "classified": (),
    }
    assert await index.beginning("class", 10, with_private=False) == ()
    assert set(await ids(index, words("cloud", with_private=True))) == {"a", "s"}
    assert (await index.similar(["clasified"], with_private=True))["clasified"][0][0] == "classified"


async def test_private_documents_do_not_change_the_order_of_public_ones(index: SearchIndex) -> None:
    public = [document(f"d{n}", f"n{n}", "rare common" if n % 2 else "common") for n in range(9)]
    public.append(document("one", "n", "rare"))
    await put(index, *public)
    either = IndexQuery(((Term(("rare",)), Term(("common",))),), limit=100)
    before = await ids(index, either)
    await put(index, *(document(f"s{n}", "rare", is_public=False) for n in range(50)))
    assert await ids(index, either) == before


async def test_some_private_documents_are_found_by_whom_they_concern(index: SearchIndex) -> None:
    await put(
        index,
        document("mine", "cloud", is_public=False, facets=(("party", "me"), ("status", "Active"))),
        document("theirs", "cloud", is_public=False, facets=(("party", "them"), ("status", "Active"))),
    )
    mine = words("cloud", with_private=True, private_having=(("party", "me"),))
    answer = await index.answer(mine, NOTHING_NEWER)
    assert (answer.ids, answer.total, answer.counts["status"]) == (("mine",), 1, {"Active": 1})
    assert await ids(
        index, msgspec.structs.replace(EVERYTHING, with_private=True, private_having=(("party", "me"),))
    ) == ("mine",)


async def test_a_document_that_becomes_private_is_found_no_more(index: SearchIndex) -> None:
    await put(index, document("a", "cloud"))
    await put(index, document("a", "cloud", is_public=False))
    assert await ids(index, words("cloud")) == ()
    assert await ids(index, words("cloud", with_private=True)) == ("a",)


# -- what is newer ---------------------------------------------------------------------------------------------


async def test_what_is_newer_than_the_index_is_searched_beside_it(index: SearchIndex) -> None:
    await put(index, document("a", "cloud"), document("b", "cloud"), document("c", "cloud"))
    newer = {"a": None, "b": document("b", "rain"), "d": document("d", "cloud")}
    answer = await index.answer(words("cloud"), newer)
    assert (set(answer.ids), answer.total, answer.counts) == ({"c", "d"}, 2, {"status": {"Launched": 2}})
    assert await ids(index, words("rain"), newer) == ("b",)


# -- how far it is ---------------------------------------------------------------------------------------------


async def test_the_position_moves_with_the_documents(index: SearchIndex) -> None:
    assert await index.position() == IndexPosition()
    position = IndexPosition(7, "mark", "rules")
    await index.put(IndexBatch(position, (document("a", "cloud"),)))
    await put(index, document("b", "cloud"))
    assert await index.position() == position
    await index.empty(IndexPosition(0, "", "others"))
    assert (await index.position(), await index.count()) == (IndexPosition(0, "", "others"), 0)
    assert await ids(index, EVERYTHING) == ()


async def test_documents_are_due_when_a_part_of_them_has_changed(index: SearchIndex) -> None:
    await index.put(
        IndexBatch(None, (document("a", "x", parts=("spec",)), document("b", "y")), parts=(("spec", "1"),))
    )
    assert await index.due(10) == ()
    await index.put(IndexBatch(None, parts=(("spec", "1"),)))
    assert await index.due(10) == ()
    await index.put(IndexBatch(None, parts=(("spec", "2"),)))
    assert await index.due(10) == ("a",)
    await put(index, document("a", "x", parts=("spec",)))
    assert await index.due(10) == ()


# -- words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["kubernets", "kuberentes", "kubernetess", "kubernates", "ubernetes"])
async def test_a_word_with_a_wrong_letter_is_similar(index: SearchIndex, typed: str) -> None:
    await put(index, document("a", "kubernetes"), document("b", "kubernetes"), document("c", "kubernative"))
    assert (await index.similar([typed], with_private=False))[typed][0] == ("kubernetes", 2)


async def test_words_that_begin_so_come_by_how_many_have_them(index: SearchIndex) -> None:
    await put(
        index,
        *(document(f"d{n}", "storage") for n in range(3)),
        document("s", "store"),
        document("x", "other"),
    )
    assert await index.beginning("sto", 10, with_private=False) == (("storage", 3), ("store", 1))


# -- both mean the same ----------------------------------------------------------------------------------------

WORDS: Final = st.sampled_from(["cloud", "store", "storage", "data", "helm", "c++", "größe", "云"])
TEXTS: Final = st.lists(WORDS, max_size=6).map(" ".join)
FACETS: Final = st.lists(
    st.tuples(st.sampled_from(["status", "colour"]), st.sampled_from("xyz")), max_size=3, unique=True
).map(lambda each: tuple(sorted(each)))


@st.composite
def documents(draw: st.DrawFn) -> list[SearchDocument]:
    count = draw(st.integers(0, 8))
    return [
        SearchDocument(
            f"d{n}",
            draw(st.integers(0, 2)),
            draw(st.booleans()),
            tuple(draw(TEXTS) for _ in range(6)),
            "",
            draw(FACETS),
            draw(st.none() | st.integers(0, 5).map(float)),
            1000 + n,
        )
        for n in range(count)
    ]


TERMS: Final = st.builds(
    Term,
    st.lists(WORDS, min_size=1, max_size=2).map(tuple),
    st.lists(WORDS, max_size=2).map(tuple),
    st.booleans(),
)
QUERIES: Final = st.builds(
    IndexQuery,
    st.lists(st.lists(TERMS, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    st.lists(TERMS, max_size=1).map(tuple),
    st.lists(
        st.tuples(st.sampled_from(["status", "colour"]), st.sampled_from([("x",), ("y", "z")])),
        max_size=2,
        unique_by=lambda each: each[0],
    ).map(tuple),
    st.none() | st.just(2.0),
    st.none() | st.just(4.0),
    st.sampled_from(["relevance", "price", "newest"]),
    st.integers(0, 2),
    st.integers(1, 8),
    st.booleans(),
    st.none() | st.just((("status", "x"),)),
    st.none() | st.just(("d0", "d1", "d2")),
)


@settings(deadline=None, max_examples=60)
@given(documents(), documents(), QUERIES)
async def test_both_give_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[SearchDocument],
    newer: list[SearchDocument],
    query: IndexQuery,
) -> None:
    overlay: Overlay = {one.id: one if one.updated_ms % 3 else None for one in newer[:3]}
    folder = tmp_path_factory.mktemp("index")
    async with opened("sqlite", folder) as one, opened("plain", folder) as other:
        for index in (one, other):
            await put(index, *first)
        answer, expected = await one.answer(query, overlay), await other.answer(query, overlay)
    assert (answer.total, answer.counts) == (expected.total, expected.counts)
    assert answer.ids == expected.ids
