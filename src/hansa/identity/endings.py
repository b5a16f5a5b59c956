"""What was ended before its time: tokens that were revoked, and parties that were removed.

Tokens and sessions are verified without a look-up in the store, so what was ended is in memory too, and the
store has it for the next start. A party that is removed, be it a subject, an organisation or a credential, is
refused from that moment on, whatever it holds; what it held is worth something again when it is let in once
more, unless that has expired.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.core.access import Caller
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code, Unavailable
from hansa.identity.principal import Principal
from hansa.store import Store
from hansa.store.tables.logins import endings
from hansa.store.tables.logins.endings import PartyKind

ENDED_TOKENS_MAX: Final = 200_000
REMOVED_PARTIES_MAX: Final = 100_000
TOKEN_END_LEEWAY_S: Final = 600
"""For how much longer an ended token is remembered than it would have been accepted."""


class RemovedParty(msgspec.Struct, frozen=True):
    """A party that was removed."""

    kind: PartyKind
    name: str
    since_s: int
    """Seconds since 1970."""


class Endings:
    """What was ended. `load` comes first. To be used on one event loop."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        tokens_max: int = ENDED_TOKENS_MAX,
        parties_max: int = REMOVED_PARTIES_MAX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens_max = tokens_max
        self._parties_max = parties_max
        self._tokens: dict[str, int] = {}
        self._parties: dict[tuple[str, str | None], RemovedParty] = {}

    async def load(self) -> None:
        """Read what was ended before the start.

        Raises:
            Unavailable: The store cannot be read.
        """
        self._tokens = dict(await endings.ended_tokens(self._store))
        for kind, name, since_s in await endings.removed_parties(self._store):
            self._parties[kind, name] = RemovedParty(kind, name, since_s)

    def is_ended(self, *names: str) -> bool:
        """Whether one of some tokens or families was ended."""
        return not self._tokens.keys().isdisjoint(names)

    def has_removed(self, one: Principal | Caller) -> bool:
        """Whether somebody was removed, or the organisation, or the credential."""
        parties = self._parties
        return bool(parties) and (
            ("subject", one.subject) in parties
            or ("organization", one.organization) in parties
            or ("credential", one.credential_id) in parties
        )

    def is_removed(self, kind: PartyKind, name: str) -> bool:
        """Whether a party was removed."""
        return (kind, name) in self._parties

    @property
    def parties(self) -> tuple[RemovedParty, ...]:
        """All parties that were removed."""
        return tuple(self._parties.values())

    async def end_token(self, name: str, expires_s: int) -> None:
        """End a token or a family, which would expire at some time; seconds since 1970.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many are remembered; or of the store. It is ended in this
                process all the same, unless there is no room.
        """
        now_s = epoch_s(self._clock)
        if len(self._tokens) >= self._tokens_max:
            self._tokens = {name: forget_s for name, forget_s in self._tokens.items() if forget_s > now_s}
            if len(self._tokens) >= self._tokens_max:
                raise Unavailable(Code.OVERLOADED, "Too many tokens were revoked.", retry_after_s=60.0)
        forget_s = expires_s + TOKEN_END_LEEWAY_S
        self._tokens[name] = forget_s
        async with self._store.transaction() as tx:
            await endings.end_token(tx, name, forget_s, now_s)

    async def remove(self, kind: PartyKind, name: str) -> RemovedParty:
        """Remove a party. It holds at once, and after a restart when this returns.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many are; or of the store.
        """
        if len(self._parties) >= self._parties_max and (kind, name) not in self._parties:
            raise Unavailable(Code.OVERLOADED, "Too many parties were removed.", retry_after_s=3600.0)
        party = self._parties.setdefault((kind, name), RemovedParty(kind, name, epoch_s(self._clock)))
        async with self._store.transaction() as tx:
            await endings.remove_party(tx, kind, name, party.since_s)
        return party

    async def readmit(self, kind: PartyKind, name: str) -> bool:
        """Let a party in again; False when it was not removed.

        Raises:
            Unavailable: The store cannot be written; the party stays removed.
        """
        if (kind, name) not in self._parties:
            return False
        async with self._store.transaction() as tx:
            await endings.readmit_party(tx, kind, name)
        self._parties.pop((kind, name), None)
        return True
