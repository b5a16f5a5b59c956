"""What of this marketplace's store is served under a ledger key: own versions, and replicas.

Own versions are served to whoever may have them by the distribution policy, earlier ones too while they are
retained (`hansa.store.tables.announced`). Replicas are served to members alone, and only in the version that
was requested: bytes that do not have that hash, as those of a damaged disk, are not here. Of a type that may
not be public anywhere no replica is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hansa.core.canonical import hashlink
from hansa.core.visibility import FOR_EVERYONE, visibility_of
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.exchange import RequestedEntity, Status
from hansa.store import Entity, Store
from hansa.store.tables import announced, heads, publications
from hansa.store.tables.publications import Publication


class ServedVersion(msgspec.Struct, frozen=True):
    """What is served of a requested version."""

    status: Status
    body: bytes | None = None
    """There if, and only if, the status is `found`."""
    position: int | None = None
    """Of the event that announced it, where that is known."""
    is_refused: bool = False
    """Whether there is something, and whoever requests it may not have it."""


class VersionSource:
    """Finds the bytes of requested versions.

    Args:
        store: Has them.
        policy: Who may have which.
    """

    def __init__(self, store: Store, policy: DistributionPolicy) -> None:
        self._store = store
        self._policy = policy

    async def versions(self, requested: Sequence[RequestedEntity], member: str | None) -> list[ServedVersion]:
        """What is served of some versions, in their order.

        Args:
            requested: At most as many as one request has.
            member: DID of whoever signed the request; None: nobody did.
        """
        published = await publications.by_keys(self._store, tuple(one.key for one in requested))
        others = [one for one in requested if one.key not in published] if member is not None else []
        replicas = await self._replicas(others, member) if others else {}
        entities = await self._store.entities([one.entity_id for one in published.values()])
        retained = await announced.bodies(self._store, [one.hashlink for one in requested])
        return [
            self._own(one, published[one.key], entities, retained, member)
            if one.key in published
            else replicas.get(one, ServedVersion("unknown"))
            for one in requested
        ]

    def _own(
        self,
        requested: RequestedEntity,
        publication: Publication,
        entities: Mapping[str, Entity],
        retained: Mapping[tuple[str, str], bytes],
        member: str | None,
    ) -> ServedVersion:
        entity = entities.get(publication.entity_id)
        served = None
        if entity is not None and entity.origin is None:
            served = self._policy.may_retrieve(member, entity)
        if served is None:
            status = absence(entity, publication, is_member=member is not None)
            return ServedVersion(status, is_refused=entity is not None and entity.pending is None)
        body = retained.get((requested.key, requested.hashlink))
        if body is None and served.hashlink == requested.hashlink:
            body = served.body
        if body is None:
            return ServedVersion("superseded")
        return ServedVersion("found", body, position_of(publication, requested.hashlink))

    async def _replicas(
        self, requested: Sequence[RequestedEntity], member: str | None
    ) -> dict[RequestedEntity, ServedVersion]:
        """Those of some versions of other members that are here as replicas."""
        by_version = {(one.key, one.hashlink): one for one in requested}
        places = await heads.replicas(self._store, tuple({one.key for one in requested}))
        needed = {(one.key, one.hashlink): one for one in places if (one.key, one.hashlink) in by_version}
        entities = await self._store.entities([one.entity_id for one in needed.values()])
        served: dict[RequestedEntity, ServedVersion] = {}
        for version, place in needed.items():
            entity = entities.get(place.entity_id)
            if entity is None or entity.origin != place.issuer or entity.type not in self._policy.types:
                continue
            part = self._policy.may_retrieve(member, entity)
            if part is None or visibility_of(part.body) is not FOR_EVERYONE:
                continue  # what is for some was sealed for them, and comes from its origin alone
            if hashlink(part.body) == place.hashlink:
                served[by_version[version]] = ServedVersion("found", part.body)
        return served


def position_of(publication: Publication | None, hashlink: str) -> int | None:
    """Where a version was announced; None when it is not the newest that was, or that is not known."""
    is_newest = publication is not None and publication.hashlink == hashlink
    return publication.last_position if publication is not None and is_newest else None


def was_published(publication: Publication | None) -> bool:
    """Whether everybody may know that an entity was public here once."""
    return publication is not None and publication.version > 0 and publication.claimed_by is None


def absence(entity: Entity | None, publication: Publication | None, *, is_member: bool) -> Status:
    """Why nothing of an own entity is served.

    A member has read of the event on the ledger, or on its way there. That holds for a claim that was lost,
    too: what was submitted before another one's claim was seen may come later, and a crash may have left
    nothing of it here. To a stranger, who can only have guessed the identifier, an entity that was never
    public does not exist.
    """
    is_lost = publication is not None and publication.claimed_by is not None
    is_announced = publication is not None and (publication.is_under_way or publication.version > 0)
    is_known = is_member and (is_announced or is_lost)
    if entity is not None and entity.pending is not None:
        return "unknown" if not is_known else "gone" if is_lost else "pending"
    return "gone" if is_known or was_published(publication) else "unknown"
