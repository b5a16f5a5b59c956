"""Which page of a list is asked for: `offset` and `limit` (TMF630 Part 1, section 4.5.1), or the header Range.

`Range: items=11-20` asks for the eleventh to the twentieth element, both counted (section 4.5.1 counts from 1). It is
a request that a server may decline, so that one which cannot be read is as good as none (RFC 9110, section 14.2).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

OFFSET_MAX: Final = 2**53 - 1

_PLAIN: Final = frozenset({b"offset", b"limit"})
_ODD: Final = re.compile(rb"offset|limit|%(?!40)")
"""In a name: it may be one of these in another spelling."""
_RANGE: Final = re.compile(rb"items\s*=\s*([0-9]{1,16})\s*-\s*([0-9]{1,16})?\s*", re.ASCII | re.IGNORECASE)


class Paging(NamedTuple):
    """A page."""

    offset: int
    limit: int
    is_asked: bool
    """The client named it."""
    is_range: bool
    """The client named it in the header Range."""


def paging(
    offsets: list[str] | None, limits_given: list[str] | None, range_header: bytes | None, limits: Limits
) -> Paging:
    """The page that a request names.

    Raises:
        Refused: `Code.INVALID`, for an offset or limit that is no whole number, or is there twice.
    """
    if offsets is None and limits_given is None:
        return _range(range_header, limits)
    limit = number("limit", limits_given, limits.list_limit_default, OFFSET_MAX)
    offset = number("offset", offsets, 0, OFFSET_MAX)
    return Paging(offset, min(limit, limits.list_limit_max), is_asked=True, is_range=False)


def taken_out(query_string: bytes) -> tuple[bytes, dict[bytes, list[str]]] | None:
    """A query string without its page, and the page's parameters; None where it takes a closer look to tell them.

    Who turns pages asks the same again and again but for these parameters, nearly always in their plainest form.
    """
    if b";" in query_string:
        return None
    rest: list[bytes] = []
    page: dict[bytes, list[str]] = {}
    for part in query_string.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in _PLAIN and value.isdigit():
            page.setdefault(name, []).append(value.decode())
        elif _ODD.search(name):
            return None
        else:
            rest.append(part)
    return (b"&".join(rest), page) if page else None


def number(name: str, found: list[str] | None, default: int, most: int) -> int:
    """A whole number from 0 on.

    Raises:
        Refused: `Code.INVALID`, when it is not one number, or is greater than `most`.
    """
    if found is None:
        return default
    text = found[0]
    if len(found) > 1 or not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > most:
        raise Refused(
            Code.INVALID,
            f"{name} must be one whole number from 0 to {most}, not {', '.join(found)[:60]!r}.",
        )
    return int(text)


def _range(header: bytes | None, limits: Limits) -> Paging:
    found = _RANGE.fullmatch(header.strip()) if header is not None else None
    if found is not None:
        first, last = int(found[1]), int(found[2]) if found[2] else None
        if 1 <= first <= OFFSET_MAX and (last is None or last >= first):
            wanted = limits.list_limit_default if last is None else last - first + 1
            return Paging(first - 1, min(wanted, limits.list_limit_max), is_asked=True, is_range=True)
    return Paging(0, limits.list_limit_default, is_asked=False, is_range=False)
