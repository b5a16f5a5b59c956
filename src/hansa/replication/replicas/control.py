"""What an operator sees and does about replicas: states, reasons, another attempt, pauses of members."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

import msgspec
import structlog

from hansa.core.clock import Clock, epoch_ms, rfc3339_at
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy, entity_key, is_entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.replication.backlog import Backlog
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables import closure, heads, origins, publications
from hansa.store.tables.heads import HeadState, State
from hansa.store.tables.publications import LostEntity

RETRIED_PER_TRANSACTION: Final = 200

log = structlog.get_logger()


class HeadPage(msgspec.Struct, frozen=True):
    """Some heads, in ledger order."""

    heads: tuple[HeadState, ...]
    next_after: int | None
    """Position to continue after; None at the end."""


class IncompleteEntity(msgspec.Struct, frozen=True):
    """An entity that needs others which are not here, or not public."""

    entity_id: str
    state: Literal["waiting", "incomplete", "unpublished"]
    """`waiting`: a replica for which they are looked for; `incomplete`: not any more; `unpublished`: an own
    entity, which is announced when they are."""
    missing: tuple[str, ...]
    """Their identifiers; of an own entity, the first."""
    since: str | None = None
    """When that was noticed; RFC 3339."""


class IncompletePage(msgspec.Struct, frozen=True):
    """Some entities, in the order of their identifiers."""

    entities: tuple[IncompleteEntity, ...]
    next_after: str | None
    """Identifier to continue after; None at the end."""


class PeerPause(msgspec.Struct, frozen=True):
    """Whether a member is requested."""

    did: str
    """Of the member."""
    paused_since: str | None
    """Since when it is not, RFC 3339; null: it is."""


class ReplicaControl:
    """Lists the states of heads, has retrievals attempted again, and pauses members.

    Args:
        store: Has the states.
        registry: The members, for the keys of an identifier.
        backlog: Shared with the retriever.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_backoff_…`, `closure_wait_max_s`.
    """

    def __init__(
        self,
        store: Store,
        registry: MemberRegistry,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._registry = registry
        self._backlog = backlog
        self._clock = clock
        self._limits = limits
        pauses_s = (limits.retrieval_backoff_min_s, limits.retrieval_backoff_max_s)
        self._retry = Retry("replica control", clock, entropy, *pauses_s)

    async def page(self, states: Sequence[State], issuer: str | None, after: int, limit: int) -> HeadPage:
        """Heads in some states after a ledger position; `issuer` None: of all members."""
        page = await heads.page(self._store, states, issuer, after, limit)
        return HeadPage(page, page[-1].position if len(page) == limit else None)

    async def of_entity(self, name: str) -> tuple[HeadState, ...]:
        """The states of one entity, by its ledger key or its identifier, at all members that claim it."""
        if is_entity_key(name):
            return await heads.of_all_members(self._store, name)
        keys = [entity_key(member.did, name) for member in self._registry.known()]
        return tuple([one for key in keys for one in await heads.of_all_members(self._store, key)])

    async def lost(self, after: int, limit: int) -> tuple[LostEntity, ...]:
        """Entities of this marketplace that the ledger has and the store has lost, after a position."""
        return await publications.lost(self._store, after, limit)

    async def incomplete(self, after: str, limit: int) -> IncompletePage:
        """Entities that need others which are not here, or not public, by identifier after one."""
        latest_s = self._clock.now().timestamp() - self._limits.closure_wait_max_s
        entities = [
            IncompleteEntity(entity_id, "unpublished", (other,))
            for entity_id, other in await publications.waiting(self._store, after, limit)
        ]
        for one in await closure.waiting(self._store, after, limit):
            needs = (await closure.needs_of(self._store, (one.entity_id,))).get(one.entity_id, ())
            missing = tuple(need.target_id for need in needs if need.is_missing)
            since_s = one.since_ms / 1000
            since = rfc3339_at(since_s)
            state: Literal["waiting", "incomplete"] = "waiting" if since_s >= latest_s else "incomplete"
            entities.append(IncompleteEntity(one.entity_id, state, missing, since))
        page = sorted(entities, key=lambda one: one.entity_id)[:limit]
        return IncompletePage(tuple(page), page[-1].entity_id if len(page) == limit else None)

    async def retry(self, states: Sequence[State], issuer: str | None, name: str | None) -> int:
        """Have retrievals attempted again at once, and failing origins with them; how many.

        What replicas lack of what they need is looked for again, too, also where that had been ended.

        Args:
            states: Of `heads.RETRYABLE`.
            issuer: DID of their origin; None: of every member.
            name: Ledger key or identifier of one entity; None: every one.
        """
        keys: list[str | None] = [None]
        if name is not None:
            keys = [one.key for one in await self.of_entity(name)]
        count = 0
        for key in keys:
            while part := await self._retry(partial(self._retry_part, states, issuer, key)):
                count += part
        await self._retry(partial(self._attempt_origins, issuer))
        self._backlog.added.notify()
        return count

    async def pause(self, did: str) -> PeerPause:
        """Request nothing of a member any more, nor send it anything: what it announces waits.

        Raises:
            Refused: `Code.NOT_FOUND`, when the league has no such member.
        """
        if all(one.did != did for one in self._registry.known()):
            raise Refused(Code.NOT_FOUND, "The league has no member with this DID.")
        since = await self._retry(partial(self._pause, did))
        log.info("peer_paused", member=did, since=since)
        return PeerPause(did, since)

    async def resume(self, did: str) -> PeerPause:
        """Request again what waits of a member, whether or not it was paused."""
        await self._retry(partial(self._resume, did))
        log.info("peer_resumed", member=did)
        for waiting in (self._backlog.added, self._backlog.sealed):
            waiting.notify()
        return PeerPause(did, None)

    async def _pause(self, did: str) -> str:
        async with self._store.transaction() as tx:
            return await origins.pause(tx, did)

    async def _resume(self, did: str) -> None:
        async with self._store.transaction() as tx:
            await origins.resume(tx, did)

    async def _retry_part(self, states: Sequence[State], issuer: str | None, key: str | None) -> int:
        async with self._store.transaction() as tx:
            return await heads.retry(tx, states, RETRIED_PER_TRANSACTION, issuer, key)

    async def _attempt_origins(self, issuer: str | None) -> None:
        async with self._store.transaction() as tx:
            await origins.attempt(tx, issuer)
            await closure.wait_anew(tx, epoch_ms(self._clock))
