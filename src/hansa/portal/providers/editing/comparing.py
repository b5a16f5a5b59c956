"""Two versions of an entity, field by field, when two people have changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.portal.providers.editing.forms.kinds import FormKind
from hansa.portal.providers.editing.forms.values import (
    REMOVED,
    SAME_ROW,
    Values,
    is_blank,
    row,
    rows_in,
    value,
)

_ROWS: Final = frozenset({"characteristics", "terms"})
_SHOWN_MAX_CHARS: Final = 2000


class ShownField(msgspec.Struct, frozen=True):
    """A field with everything in it, for reading."""

    field: str
    lines: tuple[str, ...]
    """Empty: nothing is in it."""


class FieldDifference(msgspec.Struct, frozen=True):
    """A field that somebody has changed."""

    field: str
    before: tuple[str, ...]
    """When the form was opened."""
    theirs: tuple[str, ...]
    mine: tuple[str, ...]
    is_conflict: bool
    """Both have changed it, and not to the same."""


def shown_fields(kind: FormKind, values: Values, names: Mapping[str, str]) -> tuple[ShownField, ...]:
    """All fields of a form, for reading."""
    return tuple(ShownField(field, lines_of(values, field, names)) for field in kind.fields())


def lines_of(values: Values, field: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """What is in a field, with everything below it; identifiers as names."""
    if field in _ROWS:
        rows = (row(values, field, number) for number in rows_in(values, field))
        return tuple(_row_line(one) for one in rows if not is_blank({**one, "unit": ""}))
    texts = [names.get(text, text) for text in values.get(field, ()) if text.strip()]
    if not texts:
        below = sorted(name for name in values if name.startswith(f"{field}."))
        texts = [value(values, name) for name in reversed(below) if value(values, name)]
    return tuple(text[:_SHOWN_MAX_CHARS] for text in texts)


def differences(
    kind: FormKind, before: Values, theirs: Values, mine: Values, names: Mapping[str, str]
) -> tuple[FieldDifference, ...]:
    """The fields that one of two has changed."""
    rows = []
    for field in kind.fields():
        old, other, own = (lines_of(one, field, names) for one in (before, theirs, mine))
        if other != old or own != old:
            is_conflict = old != other != own != old
            rows.append(FieldDifference(field, old, other, own, is_conflict))
    return tuple(rows)


def merged(
    kind: FormKind, before: Values, theirs: Values, mine: Values, taken: frozenset[str]
) -> dict[str, tuple[str, ...]]:
    """What a form has after both: of each field mine, unless I did not change it or take theirs."""
    result: dict[str, tuple[str, ...]] = {}
    for field in kind.fields():
        is_mine = lines_of(mine, field, {}) != lines_of(before, field, {}) and field not in taken
        source = mine if is_mine else theirs
        for name, texts in source.items():
            if name == field or name.startswith(f"{field}."):
                # A row of mine is no row of theirs: it stands as a new one.
                result[name] = ("",) if is_mine and name.endswith(f".{SAME_ROW}") else texts
    return result


def _row_line(fields: Mapping[str, str]) -> str:
    shown = [fields.get("name", ""), fields.get("description", "")]
    amounts = " · ".join(fields.get("values", "").split("\n"))
    shown += [f"{amounts or fields.get('amount', '')} {fields.get('unit', '')}".strip()]
    assert REMOVED not in {name for name, text in fields.items() if text}, "removed rows are not shown"
    return ": ".join(filter(None, shown))
