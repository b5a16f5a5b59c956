"""Taking back from the league what this marketplace has lost of its own.

A store that was lost, or is older than the ledger, learns from the ledger which public entities of its own it
lacks (`hansa.replication.continuity.own_events`): keys, versions and hashes, neither identifiers nor bytes.
The other members have the bytes as replicas. A part of a restoration goes through some lost entities:

    newest      what the ledger says now: the newest version, the nonce of its identifier; what it has
                deleted is lost no more
    request     the versions, of one member after the other, the best source first, in signed bundles, until
                none is missing or nobody is left. A member is requested once more while it sends any
    verify      hash, canonical form, shape, key, claim: as a replica is (`hansa.replication.intake`). Other
                bytes than those with the hash are evidence against the member that sent and signed them
    store       one transaction for each answer: the entities, with their nonces, and the ends of their
                chains, so that nothing of them is announced again. What was written here meanwhile under one
                of the identifiers stays, and is announced or withdrawn as it is now

What nobody has stays lost, and is listed. What is done is in the store alone, so that a restoration
may be interrupted and repeated at any time, beside everything else. What is published of an entity is all
that others have of it: private attributes, drafts and private entities are not brought back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import Member
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads, all_events_at
from hansa.pubsub.ledger_records import Claim
from hansa.replication.announced.bundles import LINES_MAX
from hansa.replication.backlog import retrieval_of
from hansa.replication.conditions.policy import DistributionPolicy, PublishedPart
from hansa.replication.continuity.restored_store import restored
from hansa.replication.sources.parts import RetrievalParts
from hansa.store import Entity, EntityDraft
from hansa.store.tables import publications
from hansa.store.tables.heads import Retrieval
from hansa.store.tables.publications import ChainEnd, LostEntity

BATCH_MAX: Final = LINES_MAX
PAUSED: Final = "paused"
"""In place of the code of a failure: earlier requests failed, and there was none now."""
REQUESTS_MAX: Final = 16
"""To one member, for one part."""
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0

log = structlog.get_logger()


class RestorationSource(msgspec.Struct, frozen=True):
    """What a member contributed to a part of a restoration."""

    did: str
    received: int
    """Versions that it sent, and that hold."""
    wrong: int
    """Versions for which it sent other bytes."""
    problem: str | None = None
    """Code of the failure of a request to it; `paused` when it was left alone, since earlier ones failed."""


class RestoredPart(msgspec.Struct, frozen=True):
    """What a part of a restoration did."""

    lost: int
    """Entities that were lost, of this part."""
    restored: int
    """Those that are here again."""
    rewritten: int
    """Those whose identifiers had been used again here; these entities stay."""
    ended: int
    """Those that the ledger has deleted."""
    missing: tuple[LostEntity, ...]
    """Those that no member that answered has, in the newest version, and that stay lost."""
    sources: tuple[RestorationSource, ...]
    """Members that were requested something."""
    next_after: int | None
    """Position to continue after; None at the end."""


class _Lost:
    """The entities of a part that are still missing."""

    def __init__(self, rows: Sequence[LostEntity]) -> None:
        self.rows = {one.key: one for one in rows}
        self.versions: dict[str, Retrieval] = {}
        """The newest versions on the ledger."""
        self.ends: dict[str, ChainEnd] = {}
        self.ended: list[str] = []
        """Those that the ledger has deleted."""
        self.restored: list[str] = []
        self.rewritten: list[str] = []

    def received(self, keys: Iterable[str]) -> None:
        """Bytes of these came, with their hashes: nobody has others."""
        for key in keys:
            del self.versions[key]

    @property
    def missing(self) -> tuple[LostEntity, ...]:
        """Those that stay lost."""
        settled = {*self.ended, *self.restored, *self.rewritten}
        return tuple([one for key, one in self.rows.items() if key not in settled])


class EntityRestoration:
    """Takes lost entities from the other members. One for a store.

    Args:
        bus: Has what the ledger says of them.
        parts: By which they are requested and verified.
        policy: Which attributes are private.
    """

    def __init__(self, bus: BusReads, parts: RetrievalParts, policy: DistributionPolicy) -> None:
        self._policy = policy
        self._bus = bus
        self._parts = parts
        self._retry = Retry("restoration", parts.clock, parts.entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)

    async def restore(self, after: int) -> RestoredPart:
        """Take back what there is of some lost entities, the next ones after a position.

        Raises:
            Unavailable: The bus does not answer.
        """
        rows = await publications.lost(self._parts.store, after, BATCH_MAX)
        lost = _Lost(rows)
        await self._read_newest(lost)
        if lost.ended:
            await self._retry(partial(self._forget, lost.ended))
        members = {one.did: one for one in self._parts.registry.others(self._parts.did)}
        sources: list[RestorationSource] = []
        for did in self._parts.ranking.ready(members):
            if not lost.versions:
                break
            sources.append(await self._take(members[did], lost))
        requested = {one.did for one in sources}
        if lost.versions:  # somebody who is left alone for a while may have them
            sources += [RestorationSource(did, 0, 0, PAUSED) for did in members if did not in requested]
        missing = lost.missing
        if rows:
            log.info(
                "lost_entities_restored", lost=len(rows), restored=len(lost.restored), missing=len(missing)
            )
        if lost.restored or lost.rewritten:
            self._parts.backlog.due.notify()
        return RestoredPart(
            *(len(rows), len(lost.restored), len(lost.rewritten), len(lost.ended), missing, tuple(sources)),
            rows[-1].position if len(rows) == BATCH_MAX else None,
        )

    async def withdraw(self, keys: Sequence[str]) -> int:
        """Announce lost entities as withdrawn, since nobody has them; how many of these keys were lost.

        Older versions leave the other members by that.
        """
        count = await self._retry(partial(self._give_up, keys))
        if count:
            log.warning("lost_entities_given_up", count=count)
            self._parts.backlog.due.notify()
        return count

    async def _give_up(self, keys: Sequence[str]) -> int:
        async with self._parts.store.transaction() as tx:
            return await publications.give_up(tx, keys)

    async def _forget(self, keys: Sequence[str]) -> None:
        async with self._parts.store.transaction() as tx:
            await publications.forget_lost(tx, keys)

    # -- what the ledger says ------------------------------------------------------------------------------

    async def _read_newest(self, lost: _Lost) -> None:
        """What the ledger has of lost entities now; nothing of those that it has not (yet) itself."""
        claims: dict[int, Claim] = {}
        for claim in await self._bus.claims(tuple(lost.rows)) if lost.rows else ():
            if claim.issuer != self._parts.did:
                continue
            if claim.is_deleted:
                lost.ended.append(claim.key)
            else:
                claims[claim.last_position] = claim
        for committed in await all_events_at(self._bus, claims):
            claim = claims[committed.position]
            lost.versions[claim.key] = retrieval_of(committed)
            lost.ends[claim.key] = ChainEnd(
                claim.version, claim.hashlink, claim.first_position, claim.last_position
            )

    # -- what the others have ------------------------------------------------------------------------------

    async def _take(self, member: Member, lost: _Lost) -> RestorationSource:
        """Take from a member whatever it has of what is missing."""
        received = wrong = 0
        for _ in range(REQUESTS_MAX):
            batch = [one for one in lost.versions.values() if one.type in self._parts.types]
            if not batch:
                break
            started_at_s = self._parts.clock.monotonic()
            try:
                answer = await self._parts.client.fetch_bundle(member, batch)
            except (Refused, Unavailable) as error:
                if error.code is not Code.RETRIEVAL_TOO_LARGE:
                    self._parts.ranking.failed(member.did)
                log.info("lost_entities_not_received", source=member.did, code=str(error.code))
                return RestorationSource(member.did, received, wrong, str(error.code))
            latency_s = self._parts.clock.monotonic() - started_at_s
            held = await self._parts.honesty.held(member.did, batch, answer, latency_s)
            wrong = sum(isinstance(line.entity, msgspec.Raw) for line in answer.lines) - len(held)
            bodies = {
                one: bytes(line.entity) for one, line in held.items() if isinstance(line.entity, msgspec.Raw)
            }
            drafts = await self._parts.intake.verified(self._parts.did, bodies)
            received += len(drafts)
            done, rewritten = await self._retry(partial(self._store, drafts, lost.ends))
            lost.restored += done
            lost.rewritten += rewritten
            lost.received([one.key for one in bodies])
            if wrong or not bodies:
                break
        return RestorationSource(member.did, received, wrong)

    async def _store(
        self, drafts: Mapping[Retrieval, EntityDraft], ends: Mapping[str, ChainEnd]
    ) -> tuple[list[str], list[str]]:
        """Store lost entities: keys of those, and of those whose identifiers are used here again."""
        added: list[EntityDraft] = []
        rewritten: list[tuple[str, str, str]] = []
        done: list[str] = []
        async with self._parts.store.transaction() as tx:
            lost = {one.key: one for one in await publications.lost_of(tx, [one.key for one in drafts])}
            taking = await restored(tx)
            since = taking.since if taking is not None else ""
            present = await tx.collections_of([draft.id for draft in drafts.values()])
            for version, draft in drafts.items():
                if version.key not in lost:
                    continue  # another restoration was faster
                current = await tx.entity(draft.id) if draft.id in present else None
                if current is not None and current.origin is not None:
                    continue  # of a member whose claim is later, or no claim at all: a person has to decide
                is_held = bool(since) and lost[version.key].entity_id == draft.id
                if current is not None and (not is_held or current.modified >= since):
                    rewritten.append((current.id, version.key, current.type))
                    continue
                nonce = bytes.fromhex(version.nonce) if version.nonce is not None else None
                own = msgspec.structs.replace(draft, origin=None, nonce=nonce)
                done.append(version.key)
                if current is not None:
                    await tx.put(with_private(self._policy, own, current))
                else:
                    added.append(own)
                await publications.adopt(tx, draft.id, version.key, draft.type, ends[version.key])
            await tx.add_all(added)
            await publications.note(tx, rewritten)
        return done, [key for _, key, _ in rewritten]


def with_private(policy: DistributionPolicy, draft: EntityDraft, current: Entity) -> EntityDraft:
    """The newest version of an entity, with the private attributes of the older one that is here."""
    part = policy.shares(current)
    if not isinstance(part, PublishedPart) or part.entity.body == current.body:
        return draft
    public = msgspec.json.decode(part.entity.body)
    private = {name: one for name, one in msgspec.json.decode(current.body).items() if name not in public}
    body = canonical_json(private | msgspec.json.decode(draft.body))
    return msgspec.structs.replace(
        draft, body=body, hashlink=hashlink(body), parent=current.parent, indexed=None
    )
