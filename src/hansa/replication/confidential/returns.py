"""At a recipient: opening events once more for their origin, which has lost its store.

An event that is sealed for this marketplace is read from the ledger and opened with its keys, as when it came
(`hansa.replication.confidential.recognition`). Its origin gets the content key and, when the replica here is
of exactly this version's bytes, these; both sealed for the key for key agreement that the origin has
registered now (`hansa.replication.confidential.return_exchange`). Everything in it was the origin's before.
Nobody else gets anything: what is not an event of the member that asks is as unknown as what does not exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from hansa.core.canonical import digest_of_hashlink
from hansa.core.confidential.agreement import AgreementKey, PairwiseSecrets
from hansa.core.confidential.sealing import EventContext, Notice, SealedEvent, seal
from hansa.core.identifiers import Entropy
from hansa.pubsub.bus import BusReads, all_events_at
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.confidential.recognition import RecognisedEvent, Recognition
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables.confidential import received


class SealedReturns:
    """Opens events of other members for those members.

    Args:
        store: Has the replicas.
        bus: Has the events.
        did: This marketplace.
        league: Name of the chain.
        registry: Has the keys of the members.
        recognition: Opens events.
        secrets: Of this marketplace with the others.
        entropy: For keys.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        did: str,
        league: str,
        registry: MemberRegistry,
        recognition: Recognition,
        secrets: PairwiseSecrets,
        entropy: Entropy,
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._league = league
        self._registry = registry
        self._recognition = recognition
        self._secrets = secrets
        self._entropy = entropy

    async def of(self, origin: str, positions: Sequence[int]) -> dict[int, SealedEvent]:
        """What goes back to an origin of its events at some positions; nothing of those that are not opened.

        Raises:
            Unavailable: The bus does not answer.
        """
        member = await self._registry.member(origin)
        if member is None or not member.agreement_key:
            return {}
        ledger = await self._bus.ledger()
        known = [one for one in positions if one <= ledger.position]
        events = [one for one in await all_events_at(self._bus, known) if one.event.issuer == origin]
        sender, returned = AgreementKey.generate(self._entropy), {}
        secret = self._secrets.of_sender(sender, self._did, origin, member.agreement_key)
        for one in self._recognition.recognised(events) if secret is not None else ():
            if one.opened is not None:
                assert secret is not None, "otherwise nothing is opened"
                returned[one.committed.position] = await self._sealed(one, sender, secret)
        return returned

    async def _sealed(self, one: RecognisedEvent, sender: AgreementKey, secret: bytes) -> SealedEvent:
        """Content key and bytes of an opened event, sealed for its origin."""
        assert one.opened is not None, "it was opened"
        content = one.opened.content_key + await self._body(one.committed, one.opened.notice)
        digest = hashlib.sha256(content).digest()
        notice = msgspec.structs.replace(one.opened.notice, digest=digest, is_withdrawal=False)
        context = EventContext(self._league, self._did, one.committed.event.entity.key)
        return seal(notice, content, sender, (secret,), context, self._entropy)

    async def _body(self, committed: CommittedEvent, notice: Notice) -> bytes:
        """The bytes of a version, when the replica here has them; nothing otherwise."""
        issuer = committed.event.issuer
        head = await received.of_entity(self._store, issuer, notice.entity_key)
        if head is None or head.entity_id is None or notice.is_withdrawal:
            return b""
        entity = await self._store.entity(head.entity_id)
        if entity is None or entity.origin != issuer:
            return b""
        return entity.body if digest_of_hashlink(entity.hashlink) == notice.digest else b""
