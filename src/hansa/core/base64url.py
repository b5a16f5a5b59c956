"""Base64url without padding (RFC 4648, section 5; RFC 7515, section 2), in the one form that bytes have."""

from __future__ import annotations

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile("[A-Za-z0-9_-]*", re.ASCII)


def to_base64url(raw: bytes) -> str:
    """The base64url form of some bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes that a text is the one base64url form of.

    Raises:
        ValueError: There are none; its text is the end of a sentence that says so.
    """
    if _ALPHABET.fullmatch(text) is None or len(text) % 4 == 1:
        raise ValueError("is no base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(raw) != text:
        raise ValueError("is not in its one base64url form")
    return raw
