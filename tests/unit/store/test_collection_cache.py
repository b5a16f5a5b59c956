"""Who is in which collection: what is remembered from one group to the next, and what is asked for again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hansa.store.sql import Parameter, Row
from hansa.store.sqlite.commit.group import KNOWN_MAX, CollectionCache

OFFERING = "ProductOffering"


class Table:
    """The table of entities, and who was looked for in it."""

    def __init__(self, **entities: str) -> None:
        self.entities = entities
        self.asked: list[str] = []

    def execute(self, sql: str, ids: tuple[Parameter, ...]) -> list[Row]:
        assert "entity" in sql
        wanted = [str(each) for each in ids if each is not None]
        self.asked += [each for each in wanted if each not in self.asked]
        return [(each, self.entities[each]) for each in wanted if each in self.entities]


def crowd(known: CollectionCache, name: str) -> None:
    """Remember so many others that there is no more room."""
    for number in range(KNOWN_MAX + 1):
        known.note(f"{name}-{number}", OFFERING)
    known.shrink(())


def test_what_is_asked_for_now_and_then_stays_known() -> None:
    known, table = CollectionCache(), Table(a="Category", b="Category")
    assert known.of(table.execute, ("a", "b", "c")) == {"a": "Category", "b": "Category"}
    for name in ("first", "second", "third"):
        crowd(known, name)
        assert known.of(table.execute, ("a", "c")) == {"a": "Category"}
    assert table.asked == ["a", "b", "c"]


def test_what_nobody_asks_for_is_forgotten() -> None:
    known, table = CollectionCache(), Table(a="Category")
    known.of(table.execute, ("a",))
    crowd(known, "first")
    crowd(known, "second")
    table.entities.clear()
    assert known.of(table.execute, ("a",)) == {}


def test_what_is_not_committed_stays_whatever_comes() -> None:
    known, table = CollectionCache(), Table()
    known.note("new", OFFERING)
    for name in ("first", "second", "third"):
        for number in range(KNOWN_MAX + 1):
            known.note(f"{name}-{number}", OFFERING)
        known.shrink(("new",))
    assert known.is_here("new")
    assert known.of(table.execute, ("new",)) == {"new": OFFERING}
    assert table.asked == []


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
def test_the_last_that_was_said_of_an_entity_holds_until_it_is_forgotten(
    steps: list[tuple[str, str, str | None]],
) -> None:
    known, table = CollectionCache(), Table(a="Category")
    said: dict[str, str | None] = {}
    for number, (step, name, collection) in enumerate(steps):
        match step:
            case "note":
                known.note(name, collection)
                said[name] = collection
            case "crowd":
                for other in range(KNOWN_MAX + 1):
                    known.note(f"{number}-{other}", OFFERING)
                known.shrink(tuple(said))
            case "forget":
                known.forget((name,))
                said.pop(name, None)
            case _:
                wanted = said.get(name, table.entities.get(name))
                assert known.of(table.execute, (name,)) == ({} if wanted is None else {name: wanted})
                assert known.is_here(name) == (wanted is not None)
                assert known.is_absent(name) == (wanted is None)
