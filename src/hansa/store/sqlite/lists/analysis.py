"""A query taken apart: which of its conditions an index serves, and what is left to check on each entity.

All pages of a list have the same analysis: it says nothing of the page, and nothing of how many entities
match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from hansa.core.instants import comparable
from hansa.core.work import Checkpoint
from hansa.store.index.extraction import CollectionIndex, IndexKey
from hansa.store.index.paths import AttributePath, all_candidates
from hansa.store.operators import IndexUse
from hansa.store.records import AllOf, AnyOf, Condition, Filter, IsPublic, Query, SortKey, Test
from hansa.store.sqlite.index_tail import AFTER
from hansa.store.sqlite.lists.conditions import ConditionCompiler, Fragment, body_equality, path_nodes

IDS_MAX: Final = 500
"""A list that names more identifiers is searched for them."""
POSTINGS_MAX: Final = 50
"""A condition that has more of them is checked on each entity instead."""

INDEX_OF: Final = {
    "status": "entity_by_status",
    "name": "entity_by_name",
    "last_update": "entity_by_last_update",
    "parent": "entity_by_parent",
}
"""The index of each column that has one; all begin with the collection and end with the number."""


class NumberScan(msgspec.Struct, frozen=True):
    """The numbers of some entities, from one place."""

    select: Fragment
    """A SELECT of `n`, in ascending order."""
    number: str
    """The column that `n` is."""


class Posting(msgspec.Struct, frozen=True):
    """The entities with one value of an attribute, or all of a collection."""

    key: IndexKey | None
    """By which their number is known; None for a status, and for a collection, whose numbers are always
    known."""
    column: str | None
    """The column; None for an attribute in `entity_index`."""
    value: str
    scans: tuple[NumberScan, ...]
    """From the index, and from its tail."""
    members: Fragment
    """A SELECT of `n` and `public`; always with the tail, for a thread reads at a moment of its own."""
    is_public_half: bool = False
    """Only those of its entities that are public."""

    @property
    def is_collection(self) -> bool:
        """Whether it is all entities of a collection, or all that are public."""
        return self.key is None and self.column is None


class IndexScan(msgspec.Struct, frozen=True, eq=False):
    """A condition whose entities an index names: those of one posting, or of any of several."""

    postings: tuple[Posting, ...]
    is_disjoint: bool
    """Whether an entity can have one of the postings only, so that their numbers add up."""
    check: Fragment
    """The same as a condition on one entity."""


class Analysis(msgspec.Struct, frozen=True, eq=False):
    """A query taken apart. Compared by identity."""

    query: Query
    """Of all pages: its offset and limit mean nothing."""
    scans: tuple[IndexScan, ...]
    checks: tuple[Fragment, ...]
    """All conditions that are no index scan."""
    has_ids: bool
    """A condition names identifiers."""
    range_column: str | None
    """The column of the only condition, when that is a range of a column with an index."""
    sort_column: str | None
    """The column of the only sort key, if that has an index."""
    sort_values: tuple[Fragment, ...]
    """The values of the sort keys."""
    unindexed: tuple[str, ...]
    """Attributes (dotted) and tests that no index serves."""
    tests: tuple[Callable[[Any, Checkpoint], bool], ...]
    """The functions that `hansa_test` calls, by position."""
    is_slow: bool
    """The client chooses how long a check takes for one entity: there is a pattern or a test among them."""
    reads_index: bool
    """Whether the tail of the index costs something."""

    @property
    def condition_count(self) -> int:
        """How many conditions there are."""
        return len(self.scans) + len(self.checks)

    @property
    def only_scan(self) -> IndexScan | None:
        """The index scan that has all conditions; None where there is none, or more than that."""
        return self.scans[0] if len(self.scans) == 1 and not self.checks else None


def analyse(query: Query, index: CollectionIndex, *, has_tail: bool) -> Analysis:
    """A query taken apart.

    Args:
        query: The list; its page does not matter.
        index: What its collection has an index of.
        has_tail: There may be entities whose rows are not in the index yet (`hansa.store.sqlite.index_tail`).

    Raises:
        Refused: `Code.INVALID`, for what is no regular expression.
    """
    compiler = ConditionCompiler(index, has_tail=has_tail)
    scans: list[IndexScan] = []
    checks: list[Fragment] = []
    unindexed: list[str] = []
    has_ids = False
    range_column: str | None = None
    conditions = flattened(query.filters)
    if query.parent is not None:
        scans.append(_parent_scan(query.parent, query, index))
    for one in conditions:
        scan = _index_scan(one, query, compiler, index)
        if scan is not None:
            scans.append(scan)
            continue
        checks.append(compiler.compile(one))
        unindexed += compiler.unindexed(one)
        if isinstance(one, Filter):
            column, use = compiler.column(one), one.operator.index
            has_ids |= column == "id" and use is IndexUse.POSTINGS and len(one.values) <= IDS_MAX
            if column in INDEX_OF and use is IndexUse.RANGE and len(conditions) == 1:
                range_column = column
    sort_columns = [index.columns.get(key.path) for key in query.sort]
    unindexed += (
        ".".join(key.path)
        for key, column in zip(query.sort, sort_columns, strict=True)
        if column is None and key.path != ("id",)
    )
    return Analysis(
        query=query,
        scans=tuple(scans),
        checks=tuple(checks),
        has_ids=has_ids,
        range_column=None if scans else range_column,
        sort_column=sort_columns[0] if len(sort_columns) == 1 else None,
        sort_values=tuple(map(_sort_value, query.sort, sort_columns)),
        unindexed=tuple(dict.fromkeys(unindexed)),
        tests=tuple(compiler.tests),
        is_slow=any(map(_is_slow, conditions)),
        reads_index=compiler.reads_index,
    )


def collection_posting(query: Query) -> Posting:
    """All entities of a collection."""
    rows = "FROM entity INDEXED BY entity_by_type WHERE type = ?"
    return _entity_posting(None, None, "", rows, (query.type,), query)


def public_posting(query: Query) -> Posting:
    """All entities of a collection that are public."""
    posting = collection_posting(msgspec.structs.replace(query, public_only=True))
    return msgspec.structs.replace(posting, is_public_half=True)


def _is_slow(condition: Condition) -> bool:
    match condition:
        case Filter(operator=operator):
            return operator.is_slow
        case Test():
            return True
        case IsPublic():
            return False
        case AnyOf(below) | AllOf(below):
            return any(map(_is_slow, below))


def flattened(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions of which each must hold, without those that only join others."""
    flat: list[Condition] = []
    for one in conditions:
        flat += flattened(one.conditions) if isinstance(one, AllOf) else [one]
    return flat


def _index_scan(
    condition: Condition, query: Query, compiler: ConditionCompiler, index: CollectionIndex
) -> IndexScan | None:
    """A condition as an index scan; None when no index serves it, or too many postings would."""
    match condition:
        case Filter():
            postings = _postings(condition, query, compiler, index)
        case IsPublic(True):
            postings = [public_posting(query)]
        case AnyOf(below):
            scans = [_index_scan(one, query, compiler, index) for one in below]
            if None in scans:
                return None
            by_place = {_place(one): one for scan in scans if scan is not None for one in scan.postings}
            postings = list(by_place.values())
        case _:
            return None
    if not 0 < len(postings) <= POSTINGS_MAX:
        return None
    columns = {one.column or one.key for one in postings}
    is_of_column = len(columns) == 1 and postings[0].column is not None
    return IndexScan(tuple(postings), len(postings) == 1 or is_of_column, compiler.compile(condition))


def _place(posting: Posting) -> tuple[str | IndexKey | None, str]:
    return posting.column or posting.key, posting.value


def _postings(
    filter: Filter, query: Query, compiler: ConditionCompiler, index: CollectionIndex
) -> list[Posting]:
    """The postings of an equality; none when no index serves it."""
    if filter.operator.index is not IndexUse.POSTINGS:
        return []
    column = compiler.column(filter)
    if column in INDEX_OF:
        values = map(comparable, filter.values) if filter.has_moments else filter.values
        return [_column_posting(column, value, query, index) for value in dict.fromkeys(values)]
    number = index.numbers.get(filter.path)
    if number is None or filter.has_moments:
        return []
    has_tail = compiler.has_tail
    return [
        _attribute_posting((number, candidate), filter.path, query, has_tail=has_tail)
        for candidate in all_candidates(filter.values)
    ]


def _attribute_posting(key: IndexKey, path: AttributePath, query: Query, *, has_tail: bool) -> Posting:
    """The posting of a value in `entity_index`."""
    public = " AND public = 1" if query.public_only else ""
    rows = f"FROM entity_index WHERE attribute = ? AND value = ? AND entity <= {AFTER}"
    in_body = body_equality(path, key[1:])
    index_tail = (
        "FROM entity AS e INDEXED BY entity_by_type "
        f"WHERE e.type = ? AND e.number > {AFTER} AND {in_body.sql}"
    )
    in_tail = (query.type, *in_body.parameters)
    scans = [NumberScan(Fragment(f"SELECT entity AS n {rows}{public}", key), "entity")]
    if has_tail:
        scans.append(NumberScan(Fragment(f"SELECT number AS n {index_tail}{public}", in_tail), "number"))
    return Posting(
        key=key,
        column=None,
        value=key[1],
        scans=tuple(scans),
        members=Fragment(
            f"SELECT entity AS n, public {rows} UNION ALL SELECT number, public {index_tail}",
            (*key, *in_tail),
        ),
    )


def _column_posting(column: str, value: str, query: Query, index: CollectionIndex) -> Posting:
    """The posting of a value of a column of `entity`."""
    key = None if column == "status" else (index.column_numbers[column], value)
    rows = f"FROM entity INDEXED BY {INDEX_OF[column]} WHERE type = ? AND {column} = ?"
    return _entity_posting(key, column, value, rows, (query.type, value), query)


def _entity_posting(
    key: IndexKey | None, column: str | None, value: str, rows: str, parameters: tuple[str, ...], query: Query
) -> Posting:
    public = " AND public = 1" if query.public_only else ""
    return Posting(
        key=key,
        column=column,
        value=value,
        scans=(NumberScan(Fragment(f"SELECT number AS n {rows}{public}", parameters), "number"),),
        members=Fragment(f"SELECT number AS n, public {rows}", parameters),
    )


def _parent_scan(parent: str, query: Query, index: CollectionIndex) -> IndexScan:
    posting = _column_posting("parent", parent, query, index)
    return IndexScan((posting,), is_disjoint=True, check=Fragment("e.parent = ?", (parent,)))


def _sort_value(key: SortKey, column: str | None) -> Fragment:
    if column is not None:
        return Fragment(f"e.{column}")
    if key.path == ("id",):
        return Fragment("e.id")
    nodes = path_nodes(key.path)
    node = f"n{len(key.path)}"
    atom = value = f"{node}.atom"
    if key.is_instant:
        value = f"CASE {node}.type WHEN 'text' THEN hansa_instant({atom}) ELSE {atom} END"
    return Fragment(
        f"(SELECT {value} FROM {nodes.sql} WHERE {atom} IS NOT NULL LIMIT 1)",  # noqa: S608 - no input
        nodes.parameters,
    )
