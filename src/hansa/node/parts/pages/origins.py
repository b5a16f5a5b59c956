"""What the pages say of the origins of entities: read from the heads, the publications and the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from hansa.core.cache import Cache
from hansa.core.certificates.certificate import read_certificate
from hansa.core.clock import Clock, epoch_ms, rfc3339_at_ms
from hansa.core.errors import HansaError
from hansa.core.identifiers import entity_key
from hansa.core.trust.certificates import (
    CERTIFICATES,
    KeyCertificate,
    certificate_bytes,
    certificate_key,
    certificate_state,
    read_key_certificate,
)
from hansa.portal.catalogue.origins import AnnouncedVersion, OriginCertificate, Provenance
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter
from hansa.replication.registry import MemberRegistry
from hansa.store import Entity, Store
from hansa.store.tables import heads, origins, publications

EVENTS_MAX: Final = 4096
"""That stay in memory."""
HISTORY_MAX: Final = 20
HISTORY_PAGE_EVENTS: Final = 200
HISTORY_PAGES_MAX: Final = 10
"""Of an entity's events that are looked through for the newest."""


class OnLedger(msgspec.Struct, frozen=True):
    """Where the ledger has an entity."""

    key: str
    first_position: int
    position: int
    """Of the version that is here; 0: none is on the ledger."""
    newest_version: int | None = None
    """One that is announced and not here yet."""
    failing_since: str | None = None


class LedgerOrigins:
    """Knows where entities come from (`hansa.portal.catalogue.origins.KnownOrigins`).

    Args:
        did: Of this marketplace.
        name: Of this marketplace.
        store: Has the heads and the publications.
        bus: The ledger, as strangers read it: what is shown to everybody takes nothing from replication.
        registry: The members.
        clock: For which certificates are valid.
        silent_since: Since when a member does not take what is sent to it; None: it does, or got nothing.
    """

    def __init__(
        self,
        did: str,
        name: str,
        store: Store,
        bus: BusReads,
        registry: MemberRegistry,
        clock: Clock,
        silent_since: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._silent_since = silent_since
        self._did = did
        self._name = name
        self._store = store
        self._bus = bus
        self._registry = registry
        self.cache: Final[Cache[int, AnnouncedVersion]] = Cache("shown_events", EVENTS_MAX)

    def name(self, did: str | None) -> str:
        """The name of a member; of this marketplace for None. Of a stranger, its DID."""
        if did is None or did == self._did:
            return self._name
        member = self._registry.known_member(did)
        return member.name if member is not None else did

    async def provenance(self, entity: Entity) -> Provenance:
        """Where an entity comes from."""
        did = entity.origin or self._did
        place = await self._place(entity)
        announced, is_silent = None, False
        if place.position:
            try:
                announced = await self._announced(place.position)
            except HansaError:
                is_silent = True
        member = self._registry.known_member(did)
        return Provenance(
            member=self.name(did),
            did=did,
            endpoint=member.endpoint if member is not None and member.is_current else None,
            is_own=entity.origin is None,
            announced=announced,
            is_ledger_silent=is_silent,
            newest_version=place.newest_version,
            failing_since=place.failing_since or self._silent_since(did),
            receipt=f"/league/v1/entities/{place.key}/receipt?latest=true" if announced else None,
        )

    async def history(self, entity: Entity) -> tuple[AnnouncedVersion, ...]:
        """The newest events about an entity, the newest first; none while the ledger does not answer."""
        place = await self._place(entity)
        if not place.position:
            return ()
        only = EventFilter(keys=(place.key,), issuers=(entity.origin or self._did,))
        newest: deque[CommittedEvent] = deque(maxlen=HISTORY_MAX)
        after = place.first_position - 1
        try:
            for _ in range(HISTORY_PAGES_MAX):
                page = await self._bus.search(after, only, HISTORY_PAGE_EVENTS)
                newest.extend(page.events)
                after = page.scanned_to
                if after >= page.last_position:
                    break
        except HansaError:
            return ()
        return tuple(map(_version, reversed(newest)))

    async def certificates(self, did: str) -> tuple[OriginCertificate, ...] | None:
        """The certificates of a member's keys; None while the ledger does not answer."""
        member = self._registry.known_member(did)
        now_ms = epoch_ms(self._clock)
        certificates = []
        for key in member.keys if member is not None else ():
            try:
                body = await self._bus.record(CERTIFICATES, certificate_key(did, key.kid))
            except HansaError:
                return None
            if body is not None:
                certificates.append(_certificate(read_key_certificate(body), now_ms))
        return tuple(certificates)

    async def _place(self, entity: Entity) -> OnLedger:
        if entity.origin is None:
            published = (await publications.states(self._store, (entity.id,))).get(entity.id)
            if published is None or published.is_withdrawn or not published.last_position:
                return OnLedger(entity_key(self._did, entity.id), 1, 0)
            return OnLedger(published.key, published.first_position or 1, published.last_position)
        key = entity_key(entity.origin, entity.id)
        head = await heads.of_key(self._store, entity.origin, key)
        if head is None:
            return OnLedger(key, 1, 0)
        is_behind = head.state not in {"stored", "deleted"}
        known = {one.did: one for one in await origins.origins(self._store)}
        origin = known.get(entity.origin)
        return OnLedger(
            key,
            1,
            head.proved_position,
            head.version if is_behind else None,
            origin.failing_since if origin is not None else None,
        )

    async def _announced(self, position: int) -> AnnouncedVersion | None:
        announced = self.cache.get(position)
        if announced is None:
            events = await self._bus.events_at((position,))
            if not events:
                return None
            announced = _version(events[0])
            self.cache.put(position, announced)
        return announced


def _version(committed: CommittedEvent) -> AnnouncedVersion:
    event = committed.event
    return AnnouncedVersion(
        version=event.entity.version,
        event=event.type,
        position=committed.position,
        height=committed.height,
        time=committed.time,
        status=event.metadata.lifecycleStatus,
    )


def _certificate(certificate: KeyCertificate, now_ms: int) -> OriginCertificate:
    leaf = read_certificate(certificate_bytes(certificate.x5c[0]))
    return OriginCertificate(
        subject=leaf.subject.common_name,
        organization=leaf.subject.organization_identifier or "",
        issuer=leaf.issuer.common_name,
        not_after=rfc3339_at_ms(1000 * certificate.not_after_s),
        state=certificate_state(certificate, now_ms),
    )
