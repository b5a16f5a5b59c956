"""Records of the domain tables, made from rows: each field has one column, named once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class RecordColumns(Generic[T]):
    """The columns from which a record is read.

    A truth value is an integer in its column, and a ledger key (a field named `key`) is bytes there and hex
    in the record.
    """

    def __init__(self, record: type[T], **expressions: str) -> None:
        """Take the column of each field that is not called as the field: SQL, as `publication.version`."""
        fields = record.__struct_fields__
        assert expressions.keys() <= set(fields), "a column belongs to a field"
        self._record = record
        self.sql = ", ".join([expressions.get(field, field) for field in fields])
        """As a SELECT names them, in the order of the fields."""
        types = get_type_hints(record)
        self._conversions: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
            [
                (place, bool if types[field] is bool else bytes.hex)
                for place, field in enumerate(fields)
                if types[field] is bool or field == "key"
            ]
        )

    def record(self, row: Sequence[Any]) -> T:
        """The record of a row of these columns."""
        values = list(row)
        assert len(values) == len(self._record.__struct_fields__), "a row has the columns of its record"
        for place, convert in self._conversions:
            values[place] = convert(values[place])
        return self._record(*values)
