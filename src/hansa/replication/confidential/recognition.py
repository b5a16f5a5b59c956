"""Recognising the sealed events that are for this marketplace, and what follows from their notices.

Whoever sealed an event says with which key; with that, each of this marketplace's own keys for key agreement
gives a secret, which is derived once, and a tag. When a slot has the tag, the notice is for this marketplace.
Nothing at all is recorded of events that are not.

A notice counts if its version is greater than that of the last one about its entity. It withdraws the
replica; or it says that the bytes are those that are here already; or they are to be retrieved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec
import structlog

from hansa.core.canonical import digest_of_hashlink
from hansa.core.confidential.agreement import AgreementKey, PairwiseSecrets
from hansa.core.confidential.sealing import EventContext, OpenedEvent, opened, sender_of
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.backlog import retrieval_of
from hansa.store import Transaction
from hansa.store.tables import evidence
from hansa.store.tables.confidential import received
from hansa.store.tables.confidential.received import ReceivedHead

AgreementKeys = Callable[[], Sequence[AgreementKey]]
"""The keys of this marketplace for key agreement: those that it has, and had until a while ago."""
WITHDRAWN: Final = "Its origin has deleted it, or addresses it to this marketplace no more."

log = structlog.get_logger()


class RecognisedEvent(msgspec.Struct, frozen=True):
    """A sealed event that is for this marketplace."""

    committed: CommittedEvent
    opened: OpenedEvent | None
    """None: it cannot be read."""
    problem: str = ""
    """Why not."""


class Recognition:
    """Recognises sealed events, and records what follows from them.

    Args:
        did: This marketplace.
        league: Name of the chain.
        keys: Its keys for key agreement.
        secrets: With the other members.
        types: Types of which it takes in entities.
        limits: `evidence_rows_max`.
    """

    def __init__(
        self,
        did: str,
        league: str,
        keys: AgreementKeys,
        secrets: PairwiseSecrets,
        types: Collection[str],
        limits: Limits,
    ) -> None:
        self._did = did
        self._league = league
        self._keys = keys
        self._secrets = secrets
        self._types = types
        self._limits = limits

    def recognised(self, events: Sequence[CommittedEvent]) -> list[RecognisedEvent]:
        """Those of some events of other members that are sealed for this marketplace."""
        sealed = [one for one in events if one.event.sealed is not None]
        keys = self._keys() if sealed else ()
        result = []
        for committed in sealed:
            if committed.event.issuer == self._did:
                continue
            try:
                one = self._opened(committed, keys)
            except Refused as error:
                result.append(RecognisedEvent(committed, None, error.message))
            else:
                result += [RecognisedEvent(committed, one)] if one is not None else []
        return result

    def _opened(self, committed: CommittedEvent, keys: Sequence[AgreementKey]) -> OpenedEvent | None:
        event = committed.event
        assert event.sealed is not None, "it is a sealed one"
        sender = sender_of(event.sealed)
        secrets = (self._secrets.of_recipient(key, event.issuer, self._did, sender) for key in keys)
        context = EventContext(self._league, event.issuer, event.entity.key)
        return opened(event.sealed, [one for one in secrets if one is not None], context)

    async def record(self, tx: Transaction, events: Sequence[RecognisedEvent]) -> bool:
        """Record what follows from some events, in ledger order; whether something is to be retrieved."""
        has_pending = False
        for one in events:
            if one.opened is None or one.opened.notice.type not in self._types:
                reason = one.problem or "The notice of a sealed event names a type that no member may send."
                await self._refuse(tx, one.committed, reason)
            else:
                has_pending |= await self._note(tx, one.committed, one.opened)
        return has_pending

    async def _refuse(self, tx: Transaction, committed: CommittedEvent, reason: str) -> None:
        version, code = retrieval_of(committed), str(Code.ENTITY_INVALID)
        await evidence.record(tx, version, code, reason, self._limits.evidence_rows_max)
        log.warning(
            "sealed_event_refused",
            issuer=committed.event.issuer,
            position=committed.position,
            reason=reason,
        )

    async def _note(self, tx: Transaction, committed: CommittedEvent, event: OpenedEvent) -> bool:
        """Record a notice; whether its version is to be retrieved."""
        notice, issuer = event.notice, committed.event.issuer
        before = await received.of_entity(tx, issuer, notice.entity_key)
        if before is not None and before.version >= notice.version:
            await self._note_sealed_anew(tx, before, committed, event)
            return False
        entity_id = before.entity_id if before is not None else None
        entity = await tx.entity(entity_id) if entity_id is not None else None
        replica = entity if entity is not None and entity.origin == issuer and not entity.public else None
        head = ReceivedHead(
            *(issuer, notice.entity_key, notice.type, notice.version, committed.position),
            *(committed.event.entity.key, committed.event.hashlink, notice.digest, "pending", notice.nonce),
            event.content_key,
            entity_id=replica.id if replica is not None else None,
            size_bytes=len(replica.body) if replica is not None else 0,
        )
        if notice.is_withdrawal:
            if replica is not None:
                await tx.delete(replica.id)
            head = without_bytes(head, "withdrawn", reason=WITHDRAWN)
        elif replica is not None and digest_of_hashlink(replica.hashlink) == notice.digest:
            head = msgspec.structs.replace(head, state="stored", content_key=None)
        await received.record(tx, head)
        return head.state == "pending"

    async def _note_sealed_anew(
        self, tx: Transaction, head: ReceivedHead, committed: CommittedEvent, event: OpenedEvent
    ) -> None:
        """Note an event that has what is known already, sealed for a newer key of this marketplace."""
        notice = event.notice
        is_same = (head.version, head.digest) == (notice.version, notice.digest)
        if not is_same or notice.is_withdrawal or committed.position <= head.position:
            return
        newer = msgspec.structs.replace(
            head,
            position=committed.position,
            key=committed.event.entity.key,
            hashlink=committed.event.hashlink,
            content_key=event.content_key if head.state == "pending" else None,
        )
        await received.record(tx, newer)


async def remove_replica(tx: Transaction, head: ReceivedHead) -> None:
    """Remove the replica of the version of a head, or of an older one, if there is one."""
    entity = await tx.entity(head.entity_id) if head.entity_id is not None else None
    if entity is not None and entity.origin == head.issuer and not entity.public:
        await tx.delete(entity.id)


def without_bytes(
    head: ReceivedHead, state: received.State, *, problem: str | None = None, reason: str | None = None
) -> ReceivedHead:
    """A head in a state in which there is neither a replica nor anything to retrieve."""
    return msgspec.structs.replace(
        head,
        state=state,
        problem=problem,
        reason=reason,
        content_key=None,
        entity_id=None,
        size_bytes=0,
    )
