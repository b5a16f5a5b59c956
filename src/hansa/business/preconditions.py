"""Versions of entities in requests and answers: ETag, If-Match, If-None-Match (RFC 9110, sections 8.8 and 13.1)."""

from __future__ import annotations

from collections.abc import Mapping

from hansa.core.errors import Code, Refused
from hansa.store import Entity


def etag(entity: Entity) -> bytes:
    """A strong validator: the hashlink names the exact content (`href` follows from it)."""
    return b'"%b"' % entity.hashlink.encode()


def is_named(header: bytes, tag: bytes) -> bool:
    """Whether If-Match or If-None-Match names a version."""
    return header.strip() == b"*" or tag in (one.strip().removeprefix(b"W/") for one in header.split(b","))


def check_unchanged(headers: Mapping[bytes, bytes], entity: Entity) -> None:
    """Let a write through only when the entity is in the version that the client expects.

    Raises:
        Refused: `Code.PRECONDITION_FAILED`.
    """
    tag = etag(entity)
    expected = headers.get(b"if-match")
    if expected is not None and not is_named(expected, tag):
        raise Refused(
            Code.PRECONDITION_FAILED, f"The entity stands at version {tag.decode()}; read it again."
        )
    unwanted = headers.get(b"if-none-match")
    if unwanted is not None and is_named(unwanted, tag):
        raise Refused(Code.PRECONDITION_FAILED, f"The entity stands at version {tag.decode()} already.")
