"""Which addresses that others name become links: those of the web alone."""

from __future__ import annotations

from typing import Any

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
