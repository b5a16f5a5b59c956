"""The types of an API as msgspec types, which decide in a microsecond or two whether a body is valid.

Most bodies are valid, and need no explanation. So each type of the model is also a *shape*, a msgspec type
that accepts only values in which `hansa.business.validation.validator` would find no violation and remove
nothing. It may accept fewer: a body that does not fit its shape is walked by the validator, which decides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Final, Literal, Union

import msgspec

from hansa.business.models import Api, Attribute

NO_URI: Final = r"\x00-\x20\x7f-\x9f<>\"{}|\\^`"
"""Characters that no URI and no IRI contains, as in the brackets of a pattern (RFC 3986, RFC 3987)."""
SHAPES_CACHED_MAX: Final = 256
"""APIs."""
_DAY: Final = (
    r"(?!0000|(?:0001-01-01|9999-12-31)T[^Z]*\Z)"  # in UTC it may be of a year that does not exist
    r"[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{3}|\.[0-9]{6})?"
_ZONE: Final = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

_NAMES: Final = {
    "Annotated": Annotated,
    "Literal": Literal,
    "Uri": Annotated[str, msgspec.Meta(pattern=rf"\A[^{NO_URI}]*\Z")],
    "DateTime": Annotated[str, msgspec.Meta(pattern=rf"\A{_DAY}T{_TIME}{_ZONE}\Z")],
    "Length": msgspec.Meta,
    "Number": Union[int, float],  # noqa: UP007 - evaluated as it stands
    "Anything": Union[bool, int, float, str, dict[str, Any], list[Any]],  # noqa: UP007
    "Object": dict[str, Any],
}
"""Names in the annotations below."""
_PRIMITIVES: Final = {
    "string": "str",
    "base64": "str",
    "uri": "Uri",
    "date-time": "DateTime",
    "boolean": "bool",
    "integer": "int",
    "number": "Number",
    "object": "Object",
    "any": "Anything",
}


@lru_cache(SHAPES_CACHED_MAX)
def shapes_of(api: Api) -> Shapes:
    """The shapes of an API: its validators share them, since compiling takes long."""
    return Shapes(api)


class Shapes:
    """The shapes of one API, compiled when they are first needed."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._whole: dict[str, type[msgspec.Struct]] = {}
        self._nested: dict[str, type[msgspec.Struct]] = {}

    def fits(self, type_name: str, body: dict[str, Any]) -> bool:
        """Whether a whole entity is valid for certain; when False, the validator decides."""
        shape = self._whole.get(type_name)
        if shape is None:
            shape = self._whole[type_name] = self._compiled(type_name, is_whole=True)
        try:
            msgspec.convert(body, shape)
        except msgspec.ValidationError:
            return False
        return True

    def __getitem__(self, type_name: str) -> type[msgspec.Struct]:
        """The shape of a value of a type within an entity, by which annotations refer to types."""
        shape = self._nested.get(type_name)
        if shape is None:
            shape = self._nested[type_name] = self._compiled(type_name, is_whole=False)
        return shape

    def _compiled(self, type_name: str, *, is_whole: bool) -> type[msgspec.Struct]:
        """The shape of a type; its fields are numbered, as names of attributes may not be valid in Python."""
        required = self._api.required_of(type_name, is_whole=is_whole)
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        renamed: dict[str, str] = {}
        for number, (name, item) in enumerate(self._api.attributes_of(type_name).items()):
            field = f"attribute_{number}"
            renamed[field] = name
            annotation = self._annotation(item)
            fields.append((field, annotation) if name in required else (field, annotation, None))
        return msgspec.defstruct(
            "Shape", fields, namespace={**_NAMES, "shapes": self}, rename=renamed, kw_only=True, gc=False
        )

    def _annotation(self, item: Attribute) -> str:
        """The annotation of an attribute, evaluated on first use of the shape: types refer to themselves."""
        one = self._named(item.type)
        if not item.is_list:
            return one
        return f"Annotated[list[{one}], Length(min_length={item.items_min}, max_length={item.items_max})]"

    def _named(self, type_name: str) -> str:
        api = self._api
        if type_name in _PRIMITIVES:
            return _PRIMITIVES[type_name]
        if type_name in api.lists:
            return self._annotation(api.lists[type_name])
        if type_name in api.enumerations:
            return f"Literal{list(api.enumerations[type_name])!r}" if api.enumerations[type_name] else "str"
        return f"shapes[{type_name!r}]"
