"""Addresses of pages: which of those that others name become links, and where a request came to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from hansa.core.errors import Refused
from hansa.core.web_addresses import web_address


def is_web_address(value: Any) -> bool:
    """Whether a value is an http or https address that may be a link."""
    if not isinstance(value, str):
        return False
    try:
        web_address(value.partition("#")[0])
    except Refused:
        return False
    return value.isascii() and value.isprintable()


def address_of(request: Request) -> str:
    """The path of a request with its query, as a link has it that leads there again."""
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"], safe="/:@!$&'()*+,;=~-._")
    return f"{path}?{query}" if query else path
