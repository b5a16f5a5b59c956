"""Structs that are stored and hashed as their closed form (`hansa.core.closed_json`).

Fields with their default values are left out where the form allows it. So a later version can add a field
with a default: what was written before is read as before, and written byte for byte as before. What holds a
field that this version does not know is refused, not misread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from hansa.core.canonical import canonical_json
from hansa.core.closed_json import Form, Record, Text
from hansa.core.errors import Code, Refused

StructT = TypeVar("StructT", bound=msgspec.Struct)

_ABSENT: Final = object()


class StructForm(Generic[StructT]):
    """The one byte string of each value of a struct.

    Args:
        struct: The type.
        required: Forms of the fields that are always written.
        optional: Forms of those that are left out when they have their defaults.

    A struct with a tag (one of a union) has its tag as a field of the record.
    """

    def __init__(
        self, struct: type[StructT], required: Mapping[str, Form], optional: Mapping[str, Form] | None = None
    ) -> None:
        optional = optional or {}
        fields = {field.name: field.default for field in msgspec.structs.fields(struct)}
        assert fields.keys() == required.keys() | optional.keys(), "the form has the fields of the struct"
        config = struct.__struct_config__
        self._tag = {} if config.tag_field is None else {config.tag_field: str(config.tag)}
        required = {**required, **{name: Text(re.escape(tag)) for name, tag in self._tag.items()}}
        self._struct = struct
        self._defaults = {name: fields[name] for name in optional}
        assert msgspec.NODEFAULT not in self._defaults.values(), "what can be left out has a default"
        self.record = Record(required, optional)

    def read(self, raw: bytes) -> StructT:
        """The value of bytes in their one form.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        return self._as_struct(self.record.read(raw))

    def write(self, value: StructT) -> bytes:
        """The bytes of a value of this form; any other is an error of the programmer."""
        return self.record.write(self._fields(value))

    def parse(self, raw: bytes, at: int) -> tuple[StructT, int]:
        """See `hansa.core.closed_json.Form.parse`: a struct can be a part of another form."""
        fields, end = self.record.parse(raw, at)
        return self._as_struct(fields), end

    def render(self, value: StructT) -> bytes:
        """See `hansa.core.closed_json.Form.render`."""
        return self.write(value)

    def check(self, value: StructT) -> None:
        """Check that a value from elsewhere is of this form.

        Raises:
            Refused: `Code.MALFORMED`.
        """
        fields: dict[str, Any] = msgspec.to_builtins(value)
        for name in self._defaults:
            if name not in self._fields(value):
                fields.pop(name, None)
        self.record.read(canonical_json(fields))

    def _as_struct(self, fields: dict[str, Any]) -> StructT:
        if any(fields.get(name, _ABSENT) == default for name, default in self._defaults.items()):
            raise Refused(Code.MALFORMED, "A field with its default value is not left out.")
        return self._struct(**{name: value for name, value in fields.items() if name not in self._tag})

    def _fields(self, value: StructT) -> dict[str, Any]:
        """The tag, and the fields that are not left out."""
        fields = msgspec.structs.asdict(value) | self._tag
        for name, default in self._defaults.items():
            if fields[name] == default:
                del fields[name]
        return fields

    def describe(self) -> Any:
        """The form as JSON, for the digest of the rules."""
        return self.record.describe()
