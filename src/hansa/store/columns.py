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
        self._converters: tuple[Callable[[Any], Any] | None, ...] = tuple(
            [bool if types[field] is bool else bytes.hex if field == "key" else None for field in fields]
        )

    def record(self, row: Sequence[Any]) -> T:
        """The record of a row of these columns."""
        values = zip(self._converters, row, strict=True)
        return self._record(*[value if convert is None else convert(value) for convert, value in values])
