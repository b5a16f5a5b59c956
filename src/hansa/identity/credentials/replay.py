"""Which presentations were accepted: none is accepted twice.

A presentation is known by what its holder signed, not by the signature: of one ECDSA signature there is
another form that verifies as well. It is forgotten when it would be too old anyway. A memory that is full
accepts nothing more until something in it is forgotten.
"""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from hansa.core.errors import Code, Refused, Unavailable

PRESENTATIONS_MAX: Final = 200_000


class PresentationMemory(Protocol):
    """Remembers what was accepted."""

    def use(self, signed: bytes, now_s: int, until_s: int) -> None:
        """Accept a presentation, once.

        Args:
            signed: What its holder signed.
            now_s: Seconds since 1970.
            until_s: From when on it would be too old.

        Raises:
            Refused: `Code.PRESENTATION_REPLAYED`.
            Unavailable: `Code.OVERLOADED`, when there is no room.
        """


class RecentPresentations:
    """A `PresentationMemory` of this process. Bounded."""

    def __init__(self, count_max: int = PRESENTATIONS_MAX) -> None:
        self._count_max = count_max
        self._until_s: dict[bytes, int] = {}
        """In the order of receipt: by the digest of what was signed."""

    def use(self, signed: bytes, now_s: int, until_s: int) -> None:
        """See `PresentationMemory`."""
        assert until_s >= now_s, "what is accepted is not too old"
        digest = hashlib.sha256(signed).digest()
        if self._until_s.get(digest, 0) > now_s:
            raise Refused(Code.PRESENTATION_REPLAYED, "it was accepted before")
        self._until_s.pop(digest, None)
        while self._until_s and next(iter(self._until_s.values())) <= now_s:
            del self._until_s[next(iter(self._until_s))]
        if len(self._until_s) >= self._count_max:
            raise Unavailable(Code.OVERLOADED, "Too many presentations at a time.", retry_after_s=60.0)
        self._until_s[digest] = until_s
        assert len(self._until_s) <= self._count_max, "the memory is bounded"
