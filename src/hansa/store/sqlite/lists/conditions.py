"""Conditions on one entity, as SQL.

A condition on a column or on the index reads that. Every other one walks along its path through the body with
the JSON functions of SQLite, or calls Python (`hansa.store.sqlite.database.functions`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hansa.core.instants import comparable
from hansa.core.patterns import compiled
from hansa.core.work import Checkpoint
from hansa.store.index.extraction import CollectionIndex
from hansa.store.index.paths import AttributePath, all_candidates, number_of
from hansa.store.operators import IndexUse, Operand
from hansa.store.records import AllOf, AnyOf, Condition, Filter, IsPublic, Test
from hansa.store.sql import Parameter, placeholders
from hansa.store.sqlite.index_tail import AFTER


class Fragment(msgspec.Struct, frozen=True):
    """A piece of SQL with its parameters."""

    sql: str
    parameters: tuple[Parameter, ...] = ()


class ConditionCompiler:
    """The conditions of one query as SQL on an entity `e`."""

    def __init__(self, index: CollectionIndex, *, has_tail: bool) -> None:
        """A compiler for one query.

        Args:
            index: What its collection has an index of.
            has_tail: There may be entities whose rows are not in the index yet
                (`hansa.store.sqlite.index_tail`).
        """
        self._index = index
        self.has_tail = has_tail
        self.reads_index = False
        """Whether a condition reads the index, where the tail makes a difference."""
        self.tests: list[Callable[[Any, Checkpoint], bool]] = []
        """The functions that `hansa_test` calls, by position."""

    def compile(self, condition: Condition) -> Fragment:
        """A condition as SQL.

        Raises:
            Refused: `Code.INVALID`, for what is no regular expression.
        """
        match condition:
            case Filter():
                return self._filter(condition)
            case Test(holds=holds):
                self.tests.append(holds)
                return Fragment("hansa_test(?, e.body)", (len(self.tests) - 1,))
            case IsPublic(holds):
                return Fragment(f"e.public = {int(holds)}")
            case AnyOf(conditions):
                return joined(" OR ", [self.compile(one) for one in conditions], "0")
            case AllOf(conditions):
                return joined(" AND ", [self.compile(one) for one in conditions], "1")

    def column(self, filter: Filter) -> str | None:
        """The column of `entity` that has what a filter compares."""
        column = "id" if filter.path == ("id",) else self._index.columns.get(filter.path)
        holds_moments = column == "last_update"
        return column if holds_moments == filter.has_moments else None

    def unindexed(self, condition: Condition) -> tuple[str, ...]:
        """The attributes (dotted) and tests of a condition that no index serves."""
        match condition:
            case Filter(path, _, operator):
                has_column = operator.index is not IndexUse.NONE and self.column(condition) is not None
                is_indexed = path in self._index.numbers and _has_postings(condition)
                return () if has_column or is_indexed else (".".join(path),)
            case Test(name):
                return (name,)
            case IsPublic():
                return ()
            case AnyOf(conditions) | AllOf(conditions):
                return tuple(name for one in conditions for name in self.unindexed(one))

    def _filter(self, filter: Filter) -> Fragment:
        column = self.column(filter)
        if column is not None:
            return _column_comparison(f"e.{column}", filter)
        if _has_postings(filter):
            return self._equality(filter)
        nodes = path_nodes(filter.path)
        node = f"n{len(filter.path)}"
        test = joined(" OR ", [_node_comparison(node, filter, text) for text in filter.values], "0")
        return Fragment(
            f"EXISTS (SELECT 1 FROM {nodes.sql} WHERE {test.sql})",  # noqa: S608 - no input
            (*nodes.parameters, *test.parameters),
        )

    def _equality(self, filter: Filter) -> Fragment:
        candidates = all_candidates(filter.values)
        in_body = body_equality(filter.path, candidates)
        number = self._index.numbers.get(filter.path)
        if number is None:
            return in_body
        self.reads_index = True
        in_index = Fragment(
            "EXISTS (SELECT 1 FROM entity_index AS x WHERE x.attribute = ? "  # noqa: S608 - placeholders only
            f"AND x.value IN ({placeholders(len(candidates))}) AND x.entity = e.number)",
            (number, *candidates),
        )
        if not self.has_tail:
            return in_index
        return Fragment(
            f"CASE WHEN e.number > {AFTER} THEN {in_body.sql} ELSE {in_index.sql} END",
            (*in_body.parameters, *in_index.parameters),
        )


def _has_postings(filter: Filter) -> bool:
    """Whether a filter is an equality of values as the index has them."""
    return filter.operator.index is IndexUse.POSTINGS and not filter.has_moments


def _column_comparison(column: str, filter: Filter) -> Fragment:
    """A filter on a column of texts."""
    operator = filter.operator
    values = tuple(map(comparable, filter.values)) if filter.has_moments else filter.values
    if operator.index is IndexUse.POSTINGS:
        return Fragment(f"{column} IN ({placeholders(len(values))})", values)
    test = operator.sql.format(value=column)
    if operator.weakest is not None:
        return Fragment(test, (operator.weakest(values),))
    return joined(" OR ", [Fragment(test, (_checked(filter, text),)) for text in values], "0")


def _checked(filter: Filter, text: str) -> str:
    if filter.operator.operand is Operand.PATTERN:
        compiled(text)
    return text


def _node_comparison(node: str, filter: Filter, text: str) -> Fragment:
    """Whether the value of a node of the body compares with a text, by the type of the value."""
    operator = filter.operator
    value, operand = f"{node}.atom", _checked(filter, text)
    if filter.has_moments:
        value, operand = f"hansa_instant({value})", comparable(text)
    tests = [Fragment(f"({node}.type = 'text' AND {operator.sql.format(value=value)})", (operand,))]
    number = number_of(text) if "number" in operator.applies_to else None
    if number is not None:
        test = operator.sql.format(value=f"{node}.atom")
        tests.append(Fragment(f"({node}.type IN ('integer', 'real') AND {test})", (number,)))
    if "boolean" in operator.applies_to:
        test = operator.sql.format(value=f"{node}.type")
        tests.append(Fragment(f"({node}.type IN ('true', 'false') AND {test})", (text,)))
    return joined(" OR ", tests, "0")


def body_equality(path: AttributePath, candidates: Sequence[str]) -> Fragment:
    """Whether a path of the body reaches one of some values in canonical JSON.

    The body is canonical JSON too, so that a value that is in it stands there byte for byte: looking for
    these bytes first spares parsing most bodies.
    """
    nodes = path_nodes(path)
    last = f"n{len(path)}"
    tests: list[Fragment] = []
    for candidate in candidates:
        if candidate in {"true", "false"}:
            sql = f"{last}.type = ?"
        elif candidate.startswith('"'):
            sql = f"({last}.type = 'text' AND {last}.atom = json_extract(?, '$'))"
        else:
            sql = f"({last}.type IN ('integer', 'real') AND {last}.atom = json_extract(?, '$'))"
        tests.append(Fragment(sql, (candidate,)))
    occurs = joined(" OR ", [Fragment("instr(e.body, ?)", (one.encode(),)) for one in candidates], "0")
    reached = joined(" OR ", tests, "0")
    return Fragment(
        f"({occurs.sql} AND EXISTS (SELECT 1 FROM {nodes.sql} WHERE {reached.sql}))",  # noqa: S608 - no input
        (*occurs.parameters, *nodes.parameters, *reached.parameters),
    )


def path_nodes(path: AttributePath) -> Fragment:
    """Table functions that follow a path through the body; `n<k>` are the nodes after k names.

    What a name leads to is made a list (itself, when it is one), whose elements are the nodes. As text the
    body is parsed once per row: SQLite caches what it parsed last, but not of blobs.
    """
    tables: list[str] = []
    parameters: list[Parameter] = []
    parent = "CAST(e.body AS TEXT)"
    for depth, name in enumerate(path, start=1):
        tables.append(
            f"json_each(CASE json_type({parent}, ?) WHEN 'array' THEN {parent} -> ? "
            f"ELSE ifnull('[' || ({parent} -> ?) || ']', '[]') END) AS n{depth}"
        )
        # A name in a path of SQLite is quoted as in JSON.
        step = "$." + msgspec.json.encode(name).decode()
        parameters += [step, step, step]
        parent = f"CASE n{depth}.type WHEN 'object' THEN n{depth}.value ELSE '{{}}' END"
    return Fragment(" CROSS JOIN ".join(tables), tuple(parameters))


def joined(word: str, fragments: Sequence[Fragment], empty: str) -> Fragment:
    """Fragments with a word between them, in brackets.

    They form a balanced tree, for SQLite bounds the depth of an expression.

    Args:
        word: ` AND ` or ` OR `.
        fragments: In their order.
        empty: The SQL for no fragments.
    """
    if not fragments:
        return Fragment(empty)
    if len(fragments) == 1:
        return fragments[0]
    half = len(fragments) // 2
    left, right = joined(word, fragments[:half], empty), joined(word, fragments[half:], empty)
    return Fragment(f"({left.sql}{word}{right.sql})", left.parameters + right.parameters)
