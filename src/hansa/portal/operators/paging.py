"""Pages of a list that are reached by links: each has so many rows, and knows what is before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from hansa.core.errors import Code, Refused

ROWS: Final = 50
NUMBER_MAX: Final = 2**53


class Turning(msgspec.Struct, frozen=True):
    """Links to other pages of a list."""

    before: str | None = None
    """Path with query of the page before; None: this is the first."""
    after: str | None = None


def turning(path: str, retained: Mapping[str, str], offset: int, count: int) -> Turning:
    """Links from a page.

    Args:
        path: Of the list.
        retained: Parameters that all its pages have.
        offset: Of the first row here.
        count: Rows that were found from there on: one more than are shown when there is a further page.
    """

    def link(to: int) -> str:
        return address(path, {**retained, "offset": str(to) if to else ""})

    before = link(max(0, offset - ROWS)) if offset else None
    return Turning(before, link(offset + ROWS) if count > ROWS else None)


def address(path: str, query: Mapping[str, str]) -> str:
    """A path with a query; parameters that are empty are left out."""
    actual = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(actual)}" if actual else path


def number(request: Request, name: str, default: int = 0) -> int:
    """A number of the query.

    Raises:
        Refused: `Code.INVALID`.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16) or int(text) > NUMBER_MAX:
        raise Refused(Code.INVALID, f"{name} is a number, from 0 on.")
    return int(text)
