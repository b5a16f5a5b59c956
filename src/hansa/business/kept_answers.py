"""Answers to lists, kept for who asks the same again while nothing has changed.

An answer is good as long as the collection stands at the revision at which it was made. All resources share the room;
when there is none left, the oldest answers go.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hansa.business.http import Answer

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


class KeptAnswers:
    """The answers."""

    def __init__(self, size_max_bytes: int = SIZE_MAX_BYTES) -> None:
        self._size_max_bytes = size_max_bytes
        self._size_bytes = 0
        self._kept: dict[ListKey, tuple[int, Answer]] = {}

    def of(self, key: ListKey, revision: int) -> Answer | None:
        """The answer made at this revision of its collection, if it is kept."""
        found = self._kept.get(key)
        return found[1] if found is not None and found[0] == revision else None

    def keep(self, key: ListKey, revision: int, answer: Answer) -> None:
        """Keep an answer, unless it is too large."""
        self._forget(key)
        if len(answer.body) > ANSWER_SIZE_MAX_BYTES:
            return
        self._kept[key] = (revision, answer)
        self._size_bytes += len(answer.body) + OVERHEAD_BYTES
        while self._size_bytes > self._size_max_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: ListKey) -> None:
        standing = self._kept.pop(key, None)
        if standing is not None:
            self._size_bytes -= len(standing[1].body) + OVERHEAD_BYTES
