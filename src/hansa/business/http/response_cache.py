"""Responses to lists, for clients that request the same again while nothing has changed.

A response is valid while its collection is at the revision at which the response was made. All resources
share the room; when there is none left, the oldest responses leave.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hansa.business.http.messages import Response
from hansa.business.query import ListRequest
from hansa.core.cache import Cache

BODY_SIZE_MAX_BYTES: Final = 262_144
"""A larger response is not cached."""
REQUESTS_MAX: Final = 8192
"""So many requests of lists, of all resources, are parsed once."""
OVERHEAD_BYTES: Final = 2048
"""What an entry takes beside the body, roughly."""


class ListKey(NamedTuple):
    """What a response depends on, beside what is stored."""

    collection: str
    query_string: bytes
    public_only: bool
    range_header: bytes | None
    parent_id: str | None
    reader: str | None = None
    """Which part of the collection is read; None: the same as everybody with `public_only`."""


class CachedResponse(NamedTuple):
    """A response, and the revision of its collection at which it was made."""

    revision: int
    response: Response


class ResponseCache:
    """The responses to lists, by what they depend on; and what their requests say, parsed."""

    def __init__(self, size_max_bytes: int) -> None:
        self.cache: Final[Cache[ListKey, CachedResponse]] = Cache(
            "responses", size_max_bytes, BODY_SIZE_MAX_BYTES + OVERHEAD_BYTES, _size_bytes
        )

        self.requests: Final[Cache[ListKey, ListRequest]] = Cache("list_requests", REQUESTS_MAX)
        """Parsed requests. They depend on their key alone, so that nothing makes them invalid."""

    def get(self, key: ListKey, revision: int) -> Response | None:
        """The response that was made at this revision of its collection, or None."""
        cached = self.cache.get(key)
        if cached is None:
            return None
        if cached.revision != revision:
            self.cache.reject(key)
            return None
        return cached.response

    def hit(self, key: ListKey, revision: int) -> Response | None:
        """As `get`, for whoever asks again with that when it is None: no miss is counted."""
        cached = self.cache.peek(key)
        if cached is None or cached.revision != revision:
            return None
        self.cache.hit(key)
        return cached.response

    def put(self, key: ListKey, revision: int, response: Response) -> None:
        """Put a response into the cache, unless it is too large."""
        self.cache.put(key, CachedResponse(revision, response))


def _size_bytes(cached: CachedResponse) -> int:
    return len(cached.response.body) + OVERHEAD_BYTES
