"""On which terms a write is carried out: under which idempotency key, and whether it may be queued."""

from __future__ import annotations

from typing import Final

import msgspec


class WriteTerms(msgspec.Struct, frozen=True):
    """What a caller says about a write beside what is written."""

    key: str | None = None
    """Idempotency key: however often a write with it arrives, it is carried out once."""
    fingerprint: bytes = b""
    """Digest of the request: another one under the same key is refused."""
    may_queue: bool = False
    """The caller does not wait: what cannot be forwarded now may be forwarded later."""


PLAIN_TERMS: Final = WriteTerms()
"""No key, and an answer at once."""


class WriteQueued(Exception):
    """A write waits in the queue until the origin of its entity can be reached. This is no error."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id
        """Of its monitor."""
