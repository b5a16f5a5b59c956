"""Conditions on one entity, as SQL.

A condition on a column or on the index looks there. Every other one walks along its path through the body with the
JSON functions of SQLite, or asks Python (`hansa.store.sqlite.functions`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hansa.core.instants import comparable
from hansa.core.patterns import compiled
from hansa.store.index.extraction import CollectionIndex
from hansa.store.index.paths import AttributePath, all_candidates, number_of
from hansa.store.operators import IndexUse, Operand
from hansa.store.records import AllOf, AnyOf, Condition, Filter, Test
from hansa.store.sql import Parameter
from hansa.store.sqlite.index_tail import AFTER


class Part(msgspec.Struct, frozen=True):
    """A piece of SQL with the parameters in it."""

    sql: str
    parameters: tuple[Parameter, ...] = ()


class Conditions:
    """The conditions of one query, for an entity `e`."""

    def __init__(self, index: CollectionIndex, *, has_tail: bool) -> None:
        self._index = index
        self.has_tail = has_tail
        self.looks_in_index = False
        """Whether any of them does, where the tail makes a difference."""
        self.tests: list[Callable[[Any], bool]] = []
        """What `hansa_test` calls, by its place."""

    def part(self, condition: Condition) -> Part:
        """A condition as SQL."""
        match condition:
            case Filter():
                return self._filter(condition)
            case Test(holds=holds):
                self.tests.append(holds)
                return Part("hansa_test(?, e.body)", (len(self.tests) - 1,))
            case AnyOf(conditions):
                return joined(" OR ", [self.part(one) for one in conditions], "0")
            case AllOf(conditions):
                return joined(" AND ", [self.part(one) for one in conditions], "1")

    def column(self, filter: Filter) -> str | None:
        """The column in which a filter can look."""
        column = "id" if filter.path == ("id",) else self._index.columns.get(filter.path)
        holds_moments = column == "last_update"
        return column if holds_moments == filter.has_moments else None

    def names(self, condition: Condition) -> tuple[str, ...]:
        """What a condition compares that has no index."""
        match condition:
            case Filter(path, _, operator):
                has_column = operator.index is not IndexUse.NONE and self.column(condition) is not None
                is_indexed = path in self._index.numbers and _has_postings(condition)
                return () if has_column or is_indexed else (".".join(path),)
            case Test(name):
                return (name,)
            case AnyOf(conditions) | AllOf(conditions):
                return tuple(name for one in conditions for name in self.names(one))

    def _filter(self, filter: Filter) -> Part:
        column = self.column(filter)
        if column is not None:
            return column_part(f"e.{column}", filter)
        if _has_postings(filter):
            meanings = all_candidates(filter.values)
            number = self._index.numbers.get(filter.path)
            if number is None:
                return equality(filter.path, meanings)
            self.looks_in_index = True
            indexed = Part(
                "EXISTS (SELECT 1 FROM entity_index AS x WHERE x.attribute = ? "  # noqa: S608 - placeholders only
                f"AND x.value IN ({marks(meanings)}) AND x.entity = e.number)",
                (number, *meanings),
            )
            if not self.has_tail:
                return indexed
            walk = equality(filter.path, meanings)
            return Part(
                f"CASE WHEN e.number > {AFTER} THEN {walk.sql} ELSE {indexed.sql} END",
                (*walk.parameters, *indexed.parameters),
            )
        walk = walked(filter.path)
        node = f"n{len(filter.path)}"
        test = joined(" OR ", [_comparison(node, filter, text) for text in filter.values], "0")
        return Part(
            f"EXISTS (SELECT 1 FROM {walk.sql} WHERE {test.sql})",  # noqa: S608 - no input
            (*walk.parameters, *test.parameters),
        )


def column_part(column: str, filter: Filter) -> Part:
    """A filter on a column of texts."""
    operator = filter.operator
    values = tuple(map(comparable, filter.values)) if filter.has_moments else filter.values
    if operator.index is IndexUse.POSTINGS:
        return Part(f"{column} IN ({marks(values)})", values)
    if operator.weakest is not None:
        return Part(operator.sql.format(value=column), (operator.weakest(values),))
    test = operator.sql.format(value=column)
    return joined(" OR ", [Part(test, (_checked(filter, text),)) for text in values], "0")


def _has_postings(filter: Filter) -> bool:
    """Whether it is an equality of values as the index holds them."""
    return filter.operator.index is IndexUse.POSTINGS and not filter.has_moments


def _checked(filter: Filter, text: str) -> str:
    if filter.operator.operand is Operand.PATTERN:
        compiled(text)
    return text


def _comparison(node: str, filter: Filter, text: str) -> Part:
    """Whether the value of a node compares with a text, by the type of the value."""
    operator = filter.operator
    value, operand = f"{node}.atom", _checked(filter, text)
    if filter.has_moments:
        value, operand = f"hansa_instant({value})", comparable(text)
    tests = [Part(f"({node}.type = 'text' AND {operator.sql.format(value=value)})", (operand,))]
    number = number_of(text) if "number" in operator.applies_to else None
    if number is not None:
        test = operator.sql.format(value=f"{node}.atom")
        tests.append(Part(f"({node}.type IN ('integer', 'real') AND {test})", (number,)))
    if "boolean" in operator.applies_to:
        test = operator.sql.format(value=f"{node}.type")
        tests.append(Part(f"({node}.type IN ('true', 'false') AND {test})", (text,)))
    return joined(" OR ", tests, "0")


def equality(path: AttributePath, meanings: Sequence[str]) -> Part:
    """Whether a path of the body reaches one of the meanings.

    The body is canonical JSON, so that a value that is in it stands there byte for byte: looking for these bytes
    first spares parsing most bodies.
    """
    walk = walked(path)
    last = f"n{len(path)}"
    tests: list[Part] = []
    for meaning in meanings:
        if meaning in {"true", "false"}:
            sql = f"{last}.type = ?"
        elif meaning.startswith('"'):
            sql = f"({last}.type = 'text' AND {last}.atom = json_extract(?, '$'))"
        else:
            sql = f"({last}.type IN ('integer', 'real') AND {last}.atom = json_extract(?, '$'))"
        tests.append(Part(sql, (meaning,)))
    occurs = joined(" OR ", [Part("instr(e.body, ?)", (meaning.encode(),)) for meaning in meanings], "0")
    reached = joined(" OR ", tests, "0")
    return Part(
        f"({occurs.sql} AND EXISTS (SELECT 1 FROM {walk.sql} WHERE {reached.sql}))",  # noqa: S608 - no input
        (*occurs.parameters, *walk.parameters, *reached.parameters),
    )


def walked(path: AttributePath) -> Part:
    """Table functions that follow a path through the body; `n<k>` are the nodes after k names.

    What a name leads to is made a list (itself, when it is one), whose elements are the nodes. As text the body
    is parsed once per row: SQLite keeps what it parsed last, but not of blobs.
    """
    tables: list[str] = []
    values: list[Parameter] = []
    parent = "CAST(e.body AS TEXT)"
    for depth, name in enumerate(path, start=1):
        tables.append(
            f"json_each(CASE json_type({parent}, ?) WHEN 'array' THEN {parent} -> ? "
            f"ELSE ifnull('[' || ({parent} -> ?) || ']', '[]') END) AS n{depth}"
        )
        # A name in a path of SQLite is quoted as in JSON.
        step = "$." + msgspec.json.encode(name).decode()
        values += [step, step, step]
        parent = f"CASE n{depth}.type WHEN 'object' THEN n{depth}.value ELSE '{{}}' END"
    return Part(" CROSS JOIN ".join(tables), tuple(values))


def joined(word: str, parts: Sequence[Part], without: str) -> Part:
    """Parts with a word between them, in brackets: as a balanced tree, for SQLite bounds the depth of one."""
    if not parts:
        return Part(without)
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    one, other = joined(word, parts[:half], without), joined(word, parts[half:], without)
    return Part(f"({one.sql}{word}{other.sql})", one.parameters + other.parameters)


def marks(values: Sequence[object]) -> str:
    """A placeholder for each value."""
    return ", ".join("?" * len(values))
