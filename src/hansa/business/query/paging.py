"""The requested page of a list: `offset` and `limit` (TMF630 Part 1, section 4.5.1), or the header Range.

`Range: items=11-20` requests the eleventh to the twentieth element, inclusive (section 4.5.1 counts from 1).
A server may decline the header, so one that is malformed is ignored (RFC 9110, section 14.2).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

OFFSET_MAX: Final = 2**53 - 1

_PLAIN: Final = frozenset({b"offset", b"limit"})
_MAYBE_PAGING: Final = re.compile(rb"offset|limit|%(?!40)")
"""In a name that may be one of these in another spelling."""
_RANGE: Final = re.compile(rb"items\s*=\s*([0-9]{1,16})\s*-\s*([0-9]{1,16})?\s*", re.ASCII | re.IGNORECASE)


class Paging(NamedTuple):
    """A page."""

    offset: int
    limit: int
    is_requested: bool
    """The client named it."""
    is_range: bool
    """The client named it in the header Range."""


def paging(
    offset_values: list[str] | None,
    limit_values: list[str] | None,
    range_header: bytes | None,
    limits: Limits,
) -> Paging:
    """The page that a request names, or the default one.

    Raises:
        Refused: `Code.INVALID`, for an offset or limit that is no whole number, or is repeated.
    """
    if offset_values is None and limit_values is None:
        return _range(range_header, limits)
    limit = number("limit", limit_values, limits.list_limit_default, OFFSET_MAX)
    offset = number("offset", offset_values, 0, OFFSET_MAX)
    return Paging(offset, min(limit, limits.list_limit_max), is_requested=True, is_range=False)


def split_paging(query_string: bytes) -> tuple[bytes, dict[bytes, list[str]]] | None:
    """A query string without paging, and the paging parameters; None when it has none, or may encode them.

    A client that turns pages sends the same query with other values of these parameters, nearly always
    unencoded.
    """
    if b";" in query_string:
        return None
    rest: list[bytes] = []
    page: dict[bytes, list[str]] = {}
    for part in query_string.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in _PLAIN and value.isdigit():
            page.setdefault(name, []).append(value.decode())
        elif _MAYBE_PAGING.search(name):
            return None
        else:
            rest.append(part)
    return (b"&".join(rest), page) if page else None


def number(name: str, values: list[str] | None, default: int, number_max: int) -> int:
    """The value of a parameter that takes a whole number, from 0 to `number_max`.

    Raises:
        Refused: `Code.INVALID`, when it is not one such number.
    """
    if values is None:
        return default
    text = values[0]
    if len(values) > 1 or not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > number_max:
        raise Refused(
            Code.INVALID,
            f"{name} must be one whole number from 0 to {number_max}, not {', '.join(values)[:60]!r}.",
        )
    return int(text)


def _range(header: bytes | None, limits: Limits) -> Paging:
    matched = _RANGE.fullmatch(header.strip()) if header is not None else None
    if matched is not None:
        first, last = int(matched[1]), int(matched[2]) if matched[2] else None
        if 1 <= first <= OFFSET_MAX and (last is None or last >= first):
            limit = limits.list_limit_default if last is None else last - first + 1
            return Paging(first - 1, min(limit, limits.list_limit_max), is_requested=True, is_range=True)
    return Paging(0, limits.list_limit_default, is_requested=False, is_range=False)
