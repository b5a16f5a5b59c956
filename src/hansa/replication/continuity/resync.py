"""Comparing a store with the ledger, key by key, and repairing what differs.

The follower gives every event its state once; what has happened to the store since (a disk that lost pages,
a table that somebody edited, a copy of an older file) no event tells. A comparison walks twice, a part at a
time:

    ledger    every claim of the ledger, by entity key: the newest version of each has its state here, what
              was deleted is not here any more, and own entities are known to the publisher
    store     every entity of the store, by identifier: a replica has a version on the ledger, and its bytes
              have the hash of that version

Both compare many at once with what the tables say, and read events, one by one, of those alone that are not
plainly as they should be. A part ends after `KEYS_MAX` keys; other work gets its turn after `AT_ONCE`.

Each difference has one of these kinds; a repair does what stands beside it, and nothing when there is none:

    unknown     a version of another member has no state here: it is retrieved
    absent      a replica that is recorded as stored is not in the store: it is retrieved again
    altered     the bytes of a replica are not those of its version: it is removed, and retrieved again
    undeleted   what its origin deleted is still here: it is removed
    surplus     a replica of which the ledger has nothing: it is removed
    older       an own entity has a newer version on the ledger: it is announced anew, as the next version
    different   an own entity is not as it was announced: it is compared by the publisher, and announced
    lost        an own entity is on the ledger, and not here: it is listed (`/league/v1/lost`)

Confidential replicas are left out: their events are another matter (`hansa.replication.confidential`), and
their bytes were compared with them when they were stored.

What is after the follower's cursor is left to the follower. A comparison changes nothing that is as it should
be, so it may be repeated, interrupted and continued at any place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec

from hansa.core.audit import ANCHOR_TYPE
from hansa.core.canonical import hashlink
from hansa.core.errors import Code
from hansa.core.identifiers import entity_key
from hansa.pubsub.bus import BusReads, all_events_at
from hansa.pubsub.ledger_records import Claim, CommittedEvent
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.replication.conditions.policy import DistributionPolicy, PublishedPart
from hansa.replication.conditions.withholding import is_withheld, reason_of
from hansa.replication.continuity.own_events import compare_own
from hansa.replication.intake import private_reason
from hansa.store import Entity, Store, Transaction
from hansa.store.tables import head_places, heads, publications
from hansa.store.tables.head_places import HeadPlace
from hansa.store.tables.heads import FOLLOWER_CURSOR

KEYS_MAX: Final = 5000
"""Keys, or entities, after which a part ends."""
AT_ONCE: Final = 250
"""Keys, or entities, that are compared before other work gets its turn."""
Walk = Literal["ledger", "store"]
WALKS: Final[tuple[Walk, ...]] = get_args(Walk)
DifferenceKind = Literal["unknown", "absent", "altered", "undeleted", "surplus", "older", "different", "lost"]


class StoreDifference(msgspec.Struct, frozen=True):
    """Where the store is not as the ledger says."""

    kind: DifferenceKind
    issuer: str
    """DID of the member whose entity it is."""
    key: str
    """Of the entity on the ledger, hex."""
    entity_id: str | None
    """None while the identifier is not known here."""
    is_repaired: bool
    """Whether this comparison did something about it; what is lost is only listed."""


class ComparedPart(msgspec.Struct, frozen=True):
    """What a part of a comparison found."""

    walk: Walk
    compared: int
    """Keys, or entities, of this part."""
    differences: tuple[StoreDifference, ...]
    next_after: str | None
    """Where the walk continues; None at its end."""
    position: int
    """Up to which the store has followed the ledger."""


class Resync:
    """Compares one store with the ledger.

    Args:
        store: Of this marketplace.
        bus: Has the ledger.
        did: This member.
        policy: What is taken in, and what is published.
        backlog: Wakes the retriever and the publisher.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        did: str,
        policy: DistributionPolicy,
        backlog: Backlog,
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._policy = policy
        self._backlog = backlog

    async def compare(self, walk: Walk, after: str, *, is_repair: bool) -> ComparedPart:
        """Compare a part, and repair it.

        Args:
            walk: Which.
            after: First bucket of claims, or identifier after which the part begins; empty: the beginning.
            is_repair: Whether differences are repaired, or only reported.

        Raises:
            Unavailable: The bus does not answer.
        """
        cursor = await self._store.cursor(FOLLOWER_CURSOR)
        if walk == "ledger":
            part = await self._compare_claims(int(after or 0), cursor, is_repair=is_repair)
        else:
            part = await self._compare_entities(after, cursor, is_repair=is_repair)
        if is_repair and part.differences:
            self._backlog.added.notify()
            self._backlog.due.notify()
        return part

    # -- the ledger ----------------------------------------------------------------------------------------

    async def _compare_claims(self, first: int, cursor: int, *, is_repair: bool) -> ComparedPart:
        bucket: int | None = first
        compared, differences = 0, list[StoreDifference]()
        while bucket is not None and compared < KEYS_MAX:
            page = await self._bus.claims_from(bucket, AT_ONCE)
            claims = [one for one in page.claims if one.last_position <= cursor]
            suspects = await self._suspects(claims)
            differences += await self._compare_newest(suspects, is_repair=is_repair)
            compared += len(claims)
            bucket = page.next_bucket
            await asyncio.sleep(0)
        next_after = str(bucket) if bucket is not None else None
        return ComparedPart("ledger", compared, tuple(differences), next_after, cursor)

    async def _suspects(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those of some claims that the tables and the store do not plainly agree with."""
        by_issuer: dict[str, list[Claim]] = {}
        for claim in claims:
            by_issuer.setdefault(claim.issuer, []).append(claim)
        suspects = await self._own_suspects(by_issuer.pop(self._did, []))
        for issuer, ones in by_issuer.items():
            places = await head_places.places(self._store, issuer, [one.key for one in ones])
            ids = [one.entity_id for one in places.values() if one.entity_id is not None]
            entities = await self._store.entities(ids)
            for claim in ones:
                place = places.get(claim.key)
                entity = entities.get(place.entity_id) if place is not None and place.entity_id else None
                is_here = entity is not None and entity.origin == issuer
                if place is None or not _agrees(claim, place, is_here=is_here):
                    suspects.append(claim)
        return suspects

    async def _own_suspects(self, claims: Sequence[Claim]) -> list[Claim]:
        """The same of claims of this member."""
        published = await publications.by_keys(self._store, [one.key for one in claims])
        entities = await self._store.entities([one.entity_id for one in published.values()])
        suspects = []
        for claim in claims:
            known = published.get(claim.key)
            expected = None if claim.is_deleted else claim.hashlink
            is_known = known is not None and (known.version, known.is_under_way) == (claim.version, False)
            if known is None or not is_known or self._published(entities.get(known.entity_id)) != expected:
                suspects.append(claim)
        return suspects

    async def _compare_newest(self, claims: Sequence[Claim], *, is_repair: bool) -> list[StoreDifference]:
        """Compare the newest events of some claims, one by one."""
        newest = [
            one
            for one in await all_events_at(self._bus, [one.last_position for one in claims])
            if one.event.sealed is None and one.event.entity.type != ANCHOR_TYPE  # it is on the ledger alone
        ]
        differences: list[StoreDifference] = []
        if not newest:
            return differences
        async with self._store.transaction() as tx:
            for one in newest:
                compare = self._compare_own if one.event.issuer == self._did else self._compare_head
                difference = await compare(tx, one, is_repair=is_repair)
                differences += [difference] if difference is not None else []
        return differences

    async def _claims(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Claim]:
        """The claims of members on keys, by both."""
        keys = tuple({key for _, key in names})
        claims = await self._bus.claims(keys) if keys else ()
        return {(claim.issuer, claim.key): claim for claim in claims}

    async def _compare_head(
        self, tx: Transaction, committed: CommittedEvent, *, is_repair: bool
    ) -> StoreDifference | None:
        """Whether the newest version of another member's entity has the state that it should have."""
        event, version = committed.event, retrieval_of(committed)
        head = await heads.of_key(tx, event.issuer, event.entity.key)
        if head is None or head.position < committed.position:
            if is_repair:
                await self._follow(tx, committed)
            return StoreDifference(
                "unknown", event.issuer, event.entity.key, head.entity_id if head else None, is_repair
            )
        entity = await tx.entity(head.entity_id) if head.entity_id is not None else None
        is_here = entity is not None and entity.origin == event.issuer
        kind: DifferenceKind | None = None
        if event.is_delete and (is_here or head.state != "deleted"):
            kind = "undeleted"
        elif head.state == "stored" and not is_here:
            kind = "absent"
        if kind is None:
            return None
        if is_repair:
            await heads.forget(tx, event.issuer, event.entity.key)
            if kind == "undeleted":
                if is_here and entity is not None:
                    await tx.delete(entity.id)
                await heads.skip(tx, version, "deleted", None, "Its origin deleted or withdrew it.")
            else:
                await heads.schedule(tx, version)
        return StoreDifference(kind, event.issuer, event.entity.key, head.entity_id, is_repair)

    async def _follow(self, tx: Transaction, committed: CommittedEvent) -> None:
        """Give a version the state that the follower would have given it."""
        event, version = committed.event, retrieval_of(committed)
        if event.entity.type not in self._policy.types:
            await heads.skip(tx, version, "rejected", None, private_reason(event.entity.type))
        elif event.is_delete:
            await heads.skip(tx, version, "deleted", None, "Its origin deleted or withdrew it.")
        elif (unmet := self._policy.wants(event)) is not None and await is_withheld(
            tx, unmet, event.issuer, event.entity.key
        ):
            await heads.skip(tx, version, "skipped", str(Code.CONDITION_UNMET), reason_of(unmet))
        else:
            await heads.schedule(tx, version)

    async def _compare_own(
        self, tx: Transaction, committed: CommittedEvent, *, is_repair: bool
    ) -> StoreDifference | None:
        """Whether the publisher knows the newest version of an own entity, and the store has it."""
        event, key = committed.event, committed.event.entity.key
        known = await publications.known_end(tx, key)
        if known is not None and await publications.lost_of(tx, (key,)):
            return StoreDifference("lost", self._did, key, known.entity_id, is_repaired=False)
        if known is None:
            if event.is_delete:
                return None
            if is_repair:
                await compare_own(tx, [committed])
            return StoreDifference("lost", self._did, key, None, is_repaired=False)
        if known.is_under_way:
            return None
        kind: DifferenceKind | None = None
        if known.version < event.entity.version:
            kind = "older"
            if is_repair:
                await compare_own(tx, [committed])
        else:
            entity = await tx.entity(known.entity_id)
            published = self._published(entity)
            if event.is_delete == (published is not None) or published not in {None, event.hashlink}:
                kind = "different"
                if is_repair:
                    await publications.mark_due(tx, [known.entity_id])
        return StoreDifference(kind, self._did, key, known.entity_id, is_repair) if kind else None

    def _published(self, entity: Entity | None) -> str | None:
        """Hashlink of what of an entity is published, by its bytes; None when nothing is."""
        if entity is None or not entity.public:
            return None
        published = self._policy.publishes(entity)
        return hashlink(published.entity.body) if isinstance(published, PublishedPart) else None

    # -- the store -----------------------------------------------------------------------------------------

    async def _compare_entities(self, after: str, cursor: int, *, is_repair: bool) -> ComparedPart:
        compared, differences = 0, list[StoreDifference]()
        async for page in self._store.scan(public_only=False, after_id=after, limit=AT_ONCE):
            differences += await self._compare_replicas(page, is_repair=is_repair)
            compared += len(page)
            if compared >= KEYS_MAX:
                return ComparedPart("store", compared, tuple(differences), page[-1].id, cursor)
        return ComparedPart("store", compared, tuple(differences), None, cursor)

    async def _compare_replicas(self, page: Sequence[Entity], *, is_repair: bool) -> list[StoreDifference]:
        """Compare the replicas among some entities with the versions that they are recorded as."""
        by_issuer: dict[str, dict[str, Entity]] = {}
        for entity in page:
            if entity.origin is not None and entity.public:
                by_issuer.setdefault(entity.origin, {})[entity_key(entity.origin, entity.id)] = entity
        suspects: dict[tuple[str, str], Entity] = {}
        for issuer, replicas in by_issuer.items():
            places = await head_places.places(self._store, issuer, list(replicas))
            suspects |= {
                (issuer, key): entity
                for key, entity in replicas.items()
                if (place := places.get(key)) is None or place.proved_hashlink != hashlink(entity.body)
            }
        if not suspects:
            return []
        claims = await self._claims(list(suspects))
        wrong = [
            (entity, claims.get(name))
            for name, entity in suspects.items()
            if not self._is_of(claims.get(name), entity)
        ]
        positions = {claim.last_position for _, claim in wrong if claim is not None}
        newest = {one.position: one for one in await all_events_at(self._bus, positions)}
        differences: list[StoreDifference] = []
        async with self._store.transaction() as tx:
            for entity, claim in wrong:
                event = newest[claim.last_position] if claim is not None else None
                difference = await self._compare_replica(tx, entity, event, is_repair=is_repair)
                differences += [difference] if difference is not None else []
        return differences

    @staticmethod
    def _is_of(claim: Claim | None, entity: Entity) -> bool:
        """Whether a replica is the newest version that its origin published."""
        return claim is not None and not claim.is_deleted and hashlink(entity.body) == claim.hashlink

    async def _compare_replica(
        self, tx: Transaction, scanned: Entity, event: CommittedEvent | None, *, is_repair: bool
    ) -> StoreDifference | None:
        """Whether a replica that is not the newest version is a version at all, with its bytes.

        Args:
            tx: The transaction.
            scanned: The replica, as it was when the part was read.
            event: The newest of its key; None when the ledger has none.
            is_repair: Whether the difference is repaired.
        """
        assert scanned.origin is not None, "a replica has an origin"
        key = entity_key(scanned.origin, scanned.id)
        entity = await tx.entity(scanned.id)
        if entity is None or entity.hashlink != scanned.hashlink or entity.origin != scanned.origin:
            return None  # it has been replaced meanwhile
        head = await heads.of_key(tx, scanned.origin, key)
        proved = head.proved_hashlink if head is not None else None
        if event is not None and proved is not None and hashlink(entity.body) == proved:
            return None  # an older version, while the newest is retrieved
        kind: DifferenceKind = "surplus" if event is None or proved is None else "altered"
        if is_repair:
            await tx.delete(entity.id)
            await heads.forget_replica(tx, scanned.origin, key)
            if event is not None and (head is None or head.state == "stored"):
                await self._follow(tx, event)
        return StoreDifference(kind, scanned.origin, key, entity.id, is_repair)


def _agrees(claim: Claim, place: HeadPlace, *, is_here: bool) -> bool:
    """Whether a head is what its claim says, and its replica in the store."""
    if place.position != claim.last_position or claim.is_deleted != (place.state == "deleted"):
        return False
    if claim.is_deleted:
        return not is_here
    return place.state != "stored" or (is_here and place.hashlink == claim.hashlink)
