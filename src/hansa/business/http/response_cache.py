"""Answers to lists, kept for who asks the same again while nothing has changed.

An answer is good as long as the collection stands at the revision at which it was made. All resources share the room;
when there is none left, the oldest answers go.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hansa.business.http.messages import Response
from hansa.core.cache import Cache

SIZE_MAX_BYTES: Final = 16_777_216
"""Of all kept answers together."""
ANSWER_SIZE_MAX_BYTES: Final = 262_144
OVERHEAD_BYTES: Final = 2048
"""What keeping one takes beside its body, roughly."""


class ListKey(NamedTuple):
    """What an answer depends on beside what is stored."""

    collection: str
    query_string: bytes
    public_only: bool
    range_header: bytes | None
    parent_id: str | None


class ResponseCache:
    """The answers, each with the revision at which it was made."""

    def __init__(self, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._cache: Cache[ListKey, tuple[int, Response]] = Cache(
            "responses", size_max_bytes, ANSWER_SIZE_MAX_BYTES + OVERHEAD_BYTES, _size_bytes
        )

    def of(self, key: ListKey, revision: int) -> Response | None:
        """The answer made at this revision of its collection, if it is kept."""
        found = self._cache.get(key)
        return found[1] if found is not None and found[0] == revision else None

    def put(self, key: ListKey, revision: int, answer: Response) -> None:
        """Keep an answer, unless it is too large."""
        self._cache.put(key, (revision, answer))


def _size_bytes(made: tuple[int, Response]) -> int:
    return len(made[1].body) + OVERHEAD_BYTES
