"""Structs that are stored and hashed as their closed form (`hansa.core.closed_json`).

Fields with their default values are left out where the form allows it. So a later version can add a field
with a default: what was written before is read as before, and written byte for byte as before. What holds a
field that this version does not know is refused, not misread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from hansa.core.canonical import canonical_json
from hansa.core.closed_json import Form, Record
from hansa.core.errors import Code, Refused

StructT = TypeVar("StructT", bound=msgspec.Struct)

_ABSENT: Final = object()


class StructForm(Generic[StructT]):
    """The one byte string of each value of a struct.

    Args:
        struct: The type.
        required: Forms of the fields that are always written.
        optional: Forms of those that are left out when they have their defaults.
    """

    def __init__(
        self, struct: type[StructT], required: Mapping[str, Form], optional: Mapping[str, Form] | None = None
    ) -> None:
        optional = optional or {}
        fields = {field.name: field.default for field in msgspec.structs.fields(struct)}
        assert fields.keys() == required.keys() | optional.keys(), "the form has the fields of the struct"
        self._struct = struct
        self._defaults = {name: fields[name] for name in optional}
        assert msgspec.NODEFAULT not in self._defaults.values(), "what can be left out has a default"
        self.record = Record(required, optional)

    def read(self, raw: bytes) -> StructT:
        """The value of bytes in their one form.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        fields = self.record.read(raw)
        if any(fields.get(name, _ABSENT) == default for name, default in self._defaults.items()):
            raise Refused(Code.MALFORMED, "A field with its default value is not left out.")
        return msgspec.convert(fields, self._struct)

    def write(self, value: StructT) -> bytes:
        """The bytes of a value of this form; any other is an error of the programmer."""
        return self.record.write(self._fields(value))

    def check(self, value: StructT) -> None:
        """Check that a value from elsewhere is of this form.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        self.record.read(canonical_json(self._fields(value)))

    def _fields(self, value: StructT) -> dict[str, Any]:
        """The fields that are not left out."""
        fields: dict[str, Any] = msgspec.to_builtins(value)
        for name, default in self._defaults.items():
            if getattr(value, name) == default:
                del fields[name]
        return fields

    def describe(self) -> Any:
        """The form as JSON, for the digest of the rules."""
        return self.record.describe()
