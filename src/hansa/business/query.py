"""Query parameters: paging, sorting, selection and equality filters (TMF630 Part 1, sections 4.3 to 4.7).

Every other parameter is a filter. Its name must be an attribute path of the type, so that a misspelt filter is an
error and not silently everything; a path may go through arrays, and below an attribute of type `any` it may go
anywhere. Values are alternatives when a name is repeated or a value holds commas. Since names of real things hold
commas as well, the value as a whole is an alternative too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from hansa.business.models import Api
from hansa.business.representation import Selection, selection
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Filter, Query, SortKey

DIRECTIVES: Final = frozenset({"fields", "offset", "limit", "sort"})
NO_FIELDS: Final = "none"
OFFSET_MAX: Final = 2**53 - 1
_OPEN_TYPES: Final = frozenset({"any", "object"})


class ListRequest(msgspec.Struct, frozen=True):
    """What a list was asked for."""

    query: Query
    fields: Selection | None
    kept: str
    """The parameters apart from paging, as they came: what links to other pages repeat."""


def pairs(query_string: bytes, limits: Limits) -> Iterator[tuple[str, str]]:
    """Names and values of a query string, decoded.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`.
    """
    if len(query_string) > limits.query_length_max_chars:
        raise Refused(Code.INVALID, f"The query is longer than {limits.query_length_max_chars} characters.")
    for part in query_string.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            yield _decoded(name), _decoded(value)


def _decoded(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise Refused(Code.MALFORMED, "The query is not UTF-8.") from None


def fields_of(query_string: bytes, limits: Limits) -> Selection | None:
    """The selection of a request for one entity, which knows no other parameter; None for the whole entity.

    Raises:
        Refused: `Code.INVALID`, naming a parameter that means nothing here.
    """
    if not query_string:
        return None
    found: list[str] = []
    for name, value in pairs(query_string, limits):
        if name != "fields":
            raise Refused(Code.INVALID, f"{name!r} is no parameter of a single entity; there is `fields`.")
        found.append(value)
    return _selection(found)


def list_request(
    query_string: bytes, api: Api, type_name: str, collection: str, limits: Limits, *, public_only: bool
) -> ListRequest:
    """What the query of a list asks for; `collection` is the address of the list, for filters on `href`.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, naming the parameter and what is wrong with it.
    """
    if not query_string:
        return ListRequest(
            Query(type_name, limit=limits.list_limit_default, public_only=public_only), None, ""
        )
    directives: dict[str, list[str]] = {}
    filters: dict[tuple[str, ...], dict[str, None]] = {}
    for name, value in pairs(query_string, limits):
        if name in DIRECTIVES:
            directives.setdefault(name, []).append(value)
        else:
            values = filters.setdefault(attribute_path(name, api, type_name), {})
            values.update(dict.fromkeys(alternatives(value)))
    if len(filters) > limits.filter_count_max:
        raise Refused(Code.INVALID, f"A list takes at most {limits.filter_count_max} filters.")
    limit = _number(directives, "limit", limits.list_limit_default)
    query = Query(
        type=type_name,
        filters=tuple(_filter(path, tuple(values), collection) for path, values in filters.items()),
        sort=tuple(_sort_keys(directives.get("sort", []), api, type_name)),
        offset=_number(directives, "offset", 0),
        limit=min(limit, limits.list_limit_max),
        public_only=public_only,
    )
    kept = b"&".join(
        p for p in query_string.split(b"&") if p and p.partition(b"=")[0] not in {b"offset", b"limit"}
    )
    return ListRequest(query, _selection(directives.get("fields", [])), kept.decode("ascii", "replace"))


def alternatives(value: str) -> tuple[str, ...]:
    """The values that a filter accepts: the whole, and its parts between commas."""
    return (value, *value.split(",")) if "," in value else (value,)


def attribute_path(text: str, api: Api, type_name: str) -> tuple[str, ...]:
    """A dotted name as a path, checked against the model.

    Raises:
        Refused: `Code.INVALID`, naming the part that is no attribute.
    """
    path = tuple(text.split("."))
    current = type_name
    for depth, name in enumerate(path):
        if current in api.lists:
            current = api.lists[current].type
        attributes = api.attributes_of(current) if current in api.types else {}
        if name not in attributes:
            where = ".".join(path[:depth]) or current
            raise Refused(
                Code.INVALID,
                f"{text!r} is neither a parameter of a list nor an attribute path: {where} has no {name!r}. "
                "Filters compare for equality.",
            )
        current = attributes[name].type
        if current in _OPEN_TYPES:
            break
    return path


def _filter(path: tuple[str, ...], values: tuple[str, ...], collection: str) -> Filter:
    """`href` is not stored: what it says is the identifier."""
    if path != ("href",):
        return Filter(path, values)
    start = collection + "/"
    return Filter(
        ("id",), tuple(unquote(v.removeprefix(start)) for v in values if v.startswith(start)) or ("",)
    )


def _selection(values: list[str]) -> Selection | None:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    if not names:
        return None
    return selection(name for name in names if name not in {NO_FIELDS, "href"})


def _number(directives: dict[str, list[str]], name: str, default: int) -> int:
    found = directives.get(name)
    if found is None:
        return default
    text = found[0]
    if len(found) > 1 or not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > OFFSET_MAX:
        raise Refused(
            Code.INVALID, f"{name} must be one whole number from 0 on, not {', '.join(found)[:60]!r}."
        )
    return int(text)


def _sort_keys(values: list[str], api: Api, type_name: str) -> Iterator[SortKey]:
    names = [name for value in values for name in value.split(",")]
    if len(names) > 8:
        raise Refused(Code.INVALID, "A list is sorted by at most 8 attributes.")
    for name in names:
        # "+" arrives as a blank when the client did not encode it.
        bare = name.strip().removeprefix("+")
        descending = bare.startswith("-")
        if not bare:
            raise Refused(Code.INVALID, "sort names attributes, as `sort=-lastUpdate,name`.")
        path = attribute_path(bare.removeprefix("-"), api, type_name)
        yield SortKey(("id",) if path == ("href",) else path, descending)
