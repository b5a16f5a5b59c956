"""Versions of entities in requests and responses (RFC 9110, sections 8.8 and 13.1).

An ETag names the exact content. `Last-Modified` says when the entity was last written here, to the second;
conditions on it count only where the request has none on the ETag.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Final

from hansa.business.operations.writes import NO_PRECONDITIONS, Preconditions, is_as_of
from hansa.core.clock import read_rfc3339
from hansa.store import Entity

ANY: Final = b"*"
"""In If-Match and If-None-Match: any version."""
SECOND_LENGTH_CHARS: Final = len("2026-01-31T12:00:00")


def etag(entity: Entity) -> bytes:
    """A strong validator: the hashlink names the exact content (`href` follows from it)."""
    return b'"%b"' % entity.hashlink.encode()


def is_named(header: bytes, tag: bytes) -> bool:
    """Whether If-None-Match names a version."""
    return header.strip() == ANY or tag in (one.strip().removeprefix(b"W/") for one in header.split(b","))


def last_modified(moment: str) -> bytes:
    """An HTTP date (RFC 9110, section 5.6.7) of a time as `hansa.core.clock.rfc3339` writes it."""
    return _http_date(moment[:SECOND_LENGTH_CHARS])


@lru_cache(4096)
def _http_date(second: str) -> bytes:
    return format_datetime(read_rfc3339(second), usegmt=True).encode()


def is_known(headers: Mapping[bytes, bytes], entity: Entity, tag: bytes) -> bool:
    """Whether a reader has this version already (If-None-Match, If-Modified-Since)."""
    unless = headers.get(b"if-none-match")
    if unless is not None:
        return is_named(unless, tag)
    since = headers.get(b"if-modified-since")
    date = _date(since) if since is not None else None
    return date is not None and is_as_of(entity, date)


def preconditions(headers: Mapping[bytes, bytes]) -> Preconditions:
    """What a write expects of the entity that it changes."""
    expected = headers.get(b"if-match")
    since = headers.get(b"if-unmodified-since")
    unless = headers.get(b"if-none-match")
    if expected is None and since is None and unless is None:
        return NO_PRECONDITIONS
    return Preconditions(
        None if expected is None or expected.strip() == ANY else _versions(expected),
        _date(since) if expected is None and since is not None else None,
        _versions(unless) if unless is not None else frozenset(),
        unless is not None and unless.strip() == ANY,
    )


def _versions(header: bytes) -> frozenset[str]:
    """The hashlinks that ETags name; what is no ETag names none."""
    tags = (one.strip().removeprefix(b"W/") for one in header.split(b","))
    return frozenset(
        tag[1:-1].decode("latin-1")
        for tag in tags
        if len(tag) > 1 and tag.startswith(b'"') and tag.endswith(b'"')
    )


def _date(header: bytes) -> datetime | None:
    """The moment that a header names; None when it is no date, and so says nothing."""
    try:
        return parsedate_to_datetime(header.decode("latin-1")).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
