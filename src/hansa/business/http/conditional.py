"""Versions of entities in requests and answers (RFC 9110, sections 8.8 and 13.1).

An ETag names the exact content. `Last-Modified` says when the entity was last written here, to the second; conditions on
it count only where the request has none on the ETag.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.store import Entity

SECOND_LENGTH_CHARS: Final = len("2026-01-31T12:00:00")


def etag(entity: Entity) -> bytes:
    """A strong validator: the hashlink names the exact content (`href` follows from it)."""
    return b'"%b"' % entity.hashlink.encode()


def is_named(header: bytes, tag: bytes) -> bool:
    """Whether If-Match or If-None-Match names a version."""
    return header.strip() == b"*" or tag in (one.strip().removeprefix(b"W/") for one in header.split(b","))


def last_modified(moment: str) -> bytes:
    """An HTTP date (RFC 9110, section 5.6.7) of a time as `hansa.core.clock.rfc3339` writes it."""
    return _http_date(moment[:SECOND_LENGTH_CHARS])


@lru_cache(4096)
def _http_date(second: str) -> bytes:
    return format_datetime(datetime.fromisoformat(second).replace(tzinfo=UTC), usegmt=True).encode()


def is_known(headers: Mapping[bytes, bytes], entity: Entity, tag: bytes) -> bool:
    """Whether a reader has this version already."""
    unless = headers.get(b"if-none-match")
    if unless is not None:
        return is_named(unless, tag)
    since = headers.get(b"if-modified-since")
    return since is not None and _is_as_of(since, entity)


def check_unchanged(headers: Mapping[bytes, bytes], entity: Entity) -> None:
    """Let a write through only when the entity is in the version that the client expects.

    Raises:
        Refused: `Code.PRECONDITION_FAILED`.
    """
    tag = etag(entity)
    expected = headers.get(b"if-match")
    since = headers.get(b"if-unmodified-since")
    if expected is not None:
        is_other = not is_named(expected, tag)
    else:
        is_other = since is not None and _date(since) is not None and not _is_as_of(since, entity)
    if is_other:
        raise Refused(
            Code.PRECONDITION_FAILED, f"The entity stands at version {tag.decode()}; read it again."
        )
    unwanted = headers.get(b"if-none-match")
    if unwanted is not None and is_named(unwanted, tag):
        raise Refused(Code.PRECONDITION_FAILED, f"The entity stands at version {tag.decode()} already.")


def _is_as_of(header: bytes, entity: Entity) -> bool:
    """Whether the entity has not been written after a date; a header that is no date says nothing."""
    date = _date(header)
    written = datetime.fromisoformat(entity.modified).replace(microsecond=0)
    return date is not None and written <= date


def _date(header: bytes) -> datetime | None:
    try:
        return parsedate_to_datetime(header.decode("latin-1")).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
