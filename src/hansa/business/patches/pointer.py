"""JSON Pointer (RFC 6901): how a patch refers to a value in a document."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

Pointer: TypeAlias = tuple[str, ...]
"""The reference tokens, unescaped."""

END: Final = "-"
"""The token for the position after the last element of an array (RFC 6901, section 4)."""


class PathNotFound(Exception):
    """A pointer does not lead to a value; the message says why, without a full stop."""


def parse_pointer(text: str) -> Pointer:
    """The tokens of a pointer (RFC 6901, sections 3 and 4).

    Raises:
        ValueError: It is not a pointer; the message says why.
    """
    if not text:
        return ()
    if not text.startswith("/"):
        raise ValueError("must be empty or begin with / (RFC 6901)")
    tokens = text[1:].split("/")
    for token in tokens:
        if "~" in token.replace("~0", "").replace("~1", ""):
            raise ValueError("must write ~ as ~0 and / as ~1 (RFC 6901)")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def print_pointer(pointer: Pointer) -> str:
    """The text of a pointer."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in pointer)


def index_of(token: str, length: int) -> int | None:
    """The index that a token denotes in an array of that length; None when it is no index of it."""
    if (
        not (token.isascii() and token.isdigit())
        or (len(token) > 1 and token.startswith("0"))
        or len(token) > 10
    ):
        return None
    return index if (index := int(token)) < length else None


def value_at(document: Any, pointer: Pointer) -> Any:
    """The value that a pointer leads to.

    Raises:
        PathNotFound: There is none.
    """
    for depth, token in enumerate(pointer):
        if type(document) is dict and token in document:
            document = document[token]
        elif type(document) is list and (index := index_of(token, len(document))) is not None:
            document = document[index]
        else:
            raise PathNotFound(f"leads to nothing at {print_pointer(pointer[: depth + 1])}")
    return document
