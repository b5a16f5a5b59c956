"""The events on the ledger, as operators see them."""

from __future__ import annotations

import msgspec

from hansa.core.batches import read_batch, verify_event
from hansa.core.errors import Refused
from hansa.core.events import entity_location
from hansa.core.identifiers import entity_key, is_entity_key
from hansa.core.keys import VerifyingKey
from hansa.portal.operators.league.events import EventChoice, EventDetails, EventList, ShownEvent
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter, EventPage
from hansa.replication.registry import MemberRegistry


class BusEvents:
    """The events.

    Args:
        bus: As strangers read it: beside its writer, and bounded.
        registry: The members.
    """

    def __init__(self, bus: BusReads, registry: MemberRegistry) -> None:
        self._bus = bus
        self._registry = registry

    async def page(self, choice: EventChoice, after: int, limit: int) -> EventList:
        """See `hansa.portal.operators.league.events.LedgerEvents`."""
        filter = self._filter(choice)
        await self._bus.check(filter)
        return self._listed(await self._bus.search(after, filter, limit))

    async def newest(self, limit: int) -> EventList:
        """See `LedgerEvents`."""
        last = (await self._bus.search(0, None, 1)).last_position
        return self._listed(await self._bus.search(max(last - limit, 0), None, limit))

    async def one(self, position: int) -> EventDetails | None:
        """See `LedgerEvents`."""
        if position < 1:
            return None
        page = await self._bus.search(position - 1, None, 1, with_proofs=True)
        committed = next((one for one in page.events if one.position == position), None)
        if committed is None or committed.proof is None:
            return None
        event, proof = committed.event, committed.proof
        kid = str(read_batch(proof.jws)[1].kid)
        issuer = self._registry.known_member(event.issuer)
        problem = await self._problem(committed, kid)
        return EventDetails(
            shown=self._shown(committed),
            id=event.id,
            issuer=event.issuer,
            hashlink=event.hashlink,
            previous=event.previous,
            payload=msgspec.json.format(committed.content, indent=2).decode(),
            signature=proof.jws,
            kid=kid,
            place=proof.index,
            path=proof.path,
            is_verified=not problem,
            problem=problem,
            location=None
            if issuer is None or event.sealed is not None
            else entity_location(issuer.endpoint, event.entity.key, event.hashlink),
        )

    def issuers(self) -> tuple[tuple[str, str], ...]:
        """See `LedgerEvents`."""
        return tuple((one.did, one.name) for one in self._registry.known())

    async def _problem(self, committed: CommittedEvent, kid: str) -> str:
        """Why the signature of an event could not be verified now, by the key that its issuer had then."""
        histories = await self._bus.histories()
        keys = next((one.keys for one in histories if one.member.did == committed.event.issuer), ())
        key = next((one for one in keys if one.kid == kid), None)
        if key is None:
            return "The registry has no such key of its issuer."
        assert committed.proof is not None, "it was requested"
        try:
            event = verify_event(committed.content, committed.proof, VerifyingKey(key.jwk))
        except Refused as error:
            return error.message
        return "" if event == committed.event else "The signature is that of another event."

    def _filter(self, choice: EventChoice) -> EventFilter:
        keys: tuple[str, ...] = ()
        if choice.entity:
            known = self._registry.known()
            by_members = tuple(entity_key(member.did, choice.entity) for member in known)
            keys = (choice.entity,) if is_entity_key(choice.entity) else by_members
        types = (choice.type,) if choice.type else ()
        return EventFilter(
            types=types if choice.names_an_event else (),
            entity_types=() if choice.names_an_event else types,
            issuers=(choice.issuer,) if choice.issuer else (),
            keys=keys,
            from_time=choice.since or None,
            to_time=choice.until or None,
        )

    def _listed(self, page: EventPage) -> EventList:
        return EventList(tuple(map(self._shown, page.events)), page.scanned_to, page.last_position)

    def _shown(self, committed: CommittedEvent) -> ShownEvent:
        event = committed.event
        issuer = self._registry.known_member(event.issuer)
        return ShownEvent(
            committed.position,
            committed.height,
            committed.time,
            event.type,
            event.issuer if issuer is None else issuer.name,
            event.entity.key,
            event.entity.type,
            event.entity.version,
        )
