"""Who is calling an API of ours, as far as it has been proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """The authenticated party behind a request; `ANONYMOUS` when there is none."""

    subject: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def is_authenticated(self) -> bool:
        """Whether a token was presented and verified."""
        return self.subject is not None

    @property
    def may_write(self) -> bool:
        """Whether the caller may change this marketplace's entities."""
        return bool(self.roles & {"operator", "provider"})


ANONYMOUS = Caller()


class Authenticate(Protocol):
    """Finds out who is calling."""

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind a request with these headers (lower-case names).

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when a token is there and does not hold.
        """
