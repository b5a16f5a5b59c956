"""Who is in which collection: what is remembered from one group to the next, and what is asked for again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.commit.group import GENERATION_MAX, CollectionCache

OFFERING = "ProductOffering"


class Table:
    """The table of entities, and who was looked for in it."""

    def __init__(self, **entities: str) -> None:
        self.entities = entities
        self.queried: list[str] = []

    def execute(self, sql: str, ids: tuple[Parameter, ...]) -> list[Row]:
        assert "entity" in sql
        expected = list(dict.fromkeys(str(each) for each in ids if each is not None))
        self.queried += [each for each in expected if each not in self.queried]
        return [(each, self.entities[each]) for each in expected if each in self.entities]


def crowd(cache: CollectionCache, name: str) -> None:
    """Remember so many others that there is no more room."""
    for number in range(GENERATION_MAX + 1):
        cache.put(f"{name}-{number}", OFFERING, is_pending=False)
    cache.shrink(())


def test_what_is_asked_for_now_and_then_stays_cache() -> None:
    cache, table = CollectionCache(), Table(a="Category", b="Category")
    assert cache.collections_of(table.execute, ("a", "b", "c")) == {"a": "Category", "b": "Category"}
    for name in ("first", "second", "third"):
        crowd(cache, name)
        assert cache.collections_of(table.execute, ("a", "c")) == {"a": "Category"}
    assert table.queried == ["a", "b", "c"]


def test_what_nobody_asks_for_is_forgotten() -> None:
    cache, table = CollectionCache(), Table(a="Category")
    cache.collections_of(table.execute, ("a",))
    crowd(cache, "first")
    crowd(cache, "second")
    table.entities.clear()
    assert cache.collections_of(table.execute, ("a",)) == {}


def test_what_is_not_committed_stays_whatever_comes() -> None:
    cache, table = CollectionCache(), Table()
    cache.put("new", OFFERING, is_pending=False)
    for name in ("first", "second", "third"):
        for number in range(GENERATION_MAX + 1):
            cache.put(f"{name}-{number}", OFFERING, is_pending=False)
        cache.shrink(("new",))
    assert cache.is_present("new")
    assert cache.collections_of(table.execute, ("new",)) == {"new": OFFERING}
    assert table.queried == []


NAMES = st.sampled_from("abc")


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("note"), NAMES, st.sampled_from((OFFERING, "Category", None))),
            st.tuples(st.just("crowd"), NAMES, st.none()),
            st.tuples(st.just("ask"), NAMES, st.none()),
            st.tuples(st.just("forget"), NAMES, st.none()),
        ),
        max_size=12,
    )
)
def test_the_last_that_was_stated_of_an_entity_holds_until_it_is_forgotten(
    steps: list[tuple[str, str, str | None]],
) -> None:
    cache, table = CollectionCache(), Table(a="Category")
    stated: dict[str, str | None] = {}
    for number, (step, name, collection) in enumerate(steps):
        match step:
            case "note":
                cache.put(name, collection, is_pending=False)
                stated[name] = collection
            case "crowd":
                for other in range(GENERATION_MAX + 1):
                    cache.put(f"{number}-{other}", OFFERING, is_pending=False)
                cache.shrink(tuple(stated))
            case "forget":
                cache.discard((name,))
                stated.pop(name, None)
            case _:
                expected = stated.get(name, table.entities.get(name))
                assert cache.collections_of(table.execute, (name,)) == (
                    {} if expected is None else {name: expected}
                )
                assert cache.is_present(name) == (expected is not None)
                assert cache.is_absent(name) == (expected is None)
