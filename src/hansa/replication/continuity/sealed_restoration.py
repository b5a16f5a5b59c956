"""Taking back from their recipients the confidential entities that this marketplace has lost.

The ledger has a sealed event for each version that was ever sent to somebody, and does not say what it is
about, nor to whom. Those to whom it was sealed can open it. A part of a restoration goes through some of this
marketplace's sealed events, in ledger order:

    request    all members are named the same positions, so that none learns anything, and who is a recipient
               opens what is for it (`hansa.replication.confidential.return_exchange`)
    open       the content key has to open the event of the ledger; then its notice is what this marketplace
               once sealed, with entity, version, digest and nonce. So a recipient cannot alter anything
    verify     the bytes have the salted hash of the event and the digest of the notice, and pass what every
               entity passes
    store      in one transaction: the entity, what its last version was, and who has it, or waits for it. It
               is then sealed anew for everybody for whom it is, under a greater version, and withdrawn from
               all others: a recipient that had not retrieved it yet gets its bytes, which the store has lost
               with everything else, or waits no more

A recipient returns bytes of the version that it has alone. What it could do is to withhold events, or to open
an old one, of which it has the bytes, as if nothing had followed. Of what followed there are events on the
ledger, though: `unopened` counts those that nobody opened, with the last of them. Among these are versions
that were superseded, for members that are gone or have other keys now.

Of what was not retrieved by anybody before the store was lost, nobody has the bytes: it is *missing*. Its
recipients would request it for ever, until it is withdrawn from them.

An event that withdraws an entity from the last member that had it removes what came back of that: it was
deleted, or made private. What is here already stays: it is sealed anew, above what the ledger has. In a store
that was restored from a backup, to take newer versions from the league, it is replaced, unless it was written
since (`hansa.replication.continuity.restored_store`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec
import structlog

from hansa.core.canonical import hashlink_of_digest
from hansa.core.confidential.agreement import KEY_SIZE_BYTES, PairwiseSecrets
from hansa.core.confidential.sealing import (
    EventContext,
    OpenedEvent,
    content_of,
    is_announced,
    opened,
    opened_with,
    sender_of,
)
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import CONFIDENTIAL
from hansa.core.identifiers import entity_key
from hansa.core.members import Member
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.confidential.demands import Demands
from hansa.replication.confidential.publisher import ConfidentialPublisher, LostNotice
from hansa.replication.confidential.recognition import AgreementKeys
from hansa.replication.confidential.return_exchange import POSITIONS_MAX, ReturnClient, ReturnLine
from hansa.replication.continuity.restoration import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    PAUSED,
    RestorationSource,
    with_private,
)
from hansa.replication.continuity.restored_store import restored
from hansa.replication.intake import EntityCheck, verify
from hansa.replication.sources.parts import RetrievalParts
from hansa.store import Entity, EntityDraft, Transaction
from hansa.store.tables.confidential import announced
from hansa.store.tables.confidential.announced import AnnouncedEntity, audience_text
from hansa.store.tables.heads import Retrieval

log = structlog.get_logger()


class ReturnedPart(msgspec.Struct, frozen=True):
    """What a part of a restoration of confidential entities did."""

    events: int
    """Sealed events of this marketplace that were gone through."""
    restored: int
    """Entities that came back."""
    present: int
    """Those that are here already, and are announced anew."""
    withdrawn: int
    """Those that came back from an earlier event, and had been withdrawn from everybody later."""
    unopened: int
    """Events that no member opened."""
    unopened_to: int
    """Position of the last of them; 0: there is none."""
    missing: int
    """Entities of which nobody has the bytes, this marketplace included; known at the end."""
    sources: tuple[RestorationSource, ...]
    """Members that were requested."""
    next_after: int | None
    """Position to continue after; None at the end."""


class _Disclosure(NamedTuple):
    """What a member disclosed of an event."""

    member: Member
    event: OpenedEvent
    draft: EntityDraft | None
    """Of the bytes; None: it has none of this version."""


class _Sent(NamedTuple):
    """What members were sent about an entity that is here."""

    version: int
    """The greatest."""
    recipients: Mapping[str, str]
    """DIDs of those that wait for its bytes, with their registered keys."""


class _Returned(NamedTuple):
    """What came back of an entity, as it was stored."""

    entity_id: str
    hashlink: str


class _Outcome:
    """What becomes of the entities of a part."""

    def __init__(self) -> None:
        self.restored: set[str] = set()
        self.present: set[str] = set()
        self.withdrawn: set[str] = set()
        self.due: dict[str, str] = {}
        """Entities that are to be sealed anew, with their types."""


class SealedRestoration:
    """Takes lost confidential entities from their recipients. One for a store.

    Args:
        bus: Has the events.
        parts: By which members are known and judged.
        client: Requests.
        policy: Which attributes are private.
        demands: Has entities sealed anew.
        publisher: Withdraws what nobody has; made when everything else is.
        keys: Of this marketplace for key agreement.
        secrets: Of this marketplace with the others.
        league: Name of the chain.
        check: By the models.
    """

    def __init__(
        self,
        bus: BusReads,
        parts: RetrievalParts,
        client: ReturnClient,
        policy: DistributionPolicy,
        demands: Demands,
        publisher: Callable[[], ConfidentialPublisher],
        keys: AgreementKeys,
        secrets: PairwiseSecrets,
        league: str,
        check: EntityCheck,
    ) -> None:
        self._bus = bus
        self._parts = parts
        self._client = client
        self._policy = policy
        self._demands = demands
        self._publisher = publisher
        self._keys = keys
        self._secrets = secrets
        self._league = league
        self._check = check
        self._retry = Retry("sealed restoration", parts.clock, parts.entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
        self._returned: dict[bytes, _Returned] = {}
        """What came back since the beginning, by entity key."""
        self._missing: dict[bytes, LostNotice] = {}
        """What was announced, and did not come back."""
        self._versions: dict[bytes, int] = {}
        """The greatest version that was sent of each entity, by its key: ends of entities, too."""

    async def restore(self, after: int) -> ReturnedPart:
        """Take back what was sealed by some events, the next ones after a position; 0: from the beginning.

        Raises:
            Unavailable: The bus does not answer.
        """
        if after == 0:
            self._returned.clear()
            self._missing.clear()
            self._versions.clear()
        filter = EventFilter(issuers=(self._parts.did,), entity_types=(CONFIDENTIAL,))
        page = await self._bus.search(after, filter, POSITIONS_MAX)
        disclosed: dict[int, list[_Disclosure]] = {one.position: [] for one in page.events}
        sources = await self._ask_all(page.events, disclosed) if page.events else []
        outcome = await self._retry(partial(self._apply, page.events, disclosed))
        unopened = [position for position, ones in disclosed.items() if not ones]
        if outcome.due:
            self._parts.backlog.addressed.notify()
            log.info(
                "confidential_entities_returned",
                restored=len(outcome.restored),
                present=len(outcome.present),
                withdrawn=len(outcome.withdrawn),
            )
        next_after = page.scanned_to if page.scanned_to < page.last_position else None
        if next_after is None and self._versions:
            await self._settle_known()
        return ReturnedPart(
            *(len(page.events), len(outcome.restored), len(outcome.present), len(outcome.withdrawn)),
            *(len(unopened), max(unopened, default=0), len(self._missing) if next_after is None else 0),
            *(tuple(sources), next_after),
        )

    async def withdraw(self) -> int:
        """Withdraw what was missing at the end of the last restoration; how many entities."""
        missing, self._missing = tuple(self._missing.values()), {}
        await self._publisher().withdraw(missing)
        if missing:
            log.warning("confidential_entities_given_up", count=len(missing))
        return len(missing)

    async def _settle_known(self) -> None:
        """Put what is known here above whatever its recipients were sent.

        They pass over a version that is not greater than one that they have seen, be it the end of an entity:
        so a store that knows an older one seals the entity anew, above that, whoever has the bytes of what
        followed. It is withdrawn from members that were sent a version, were told of no end of it, and are
        not known to have it.
        """
        behind: dict[str, _Sent] = {}
        for entity_id, version in (await announced.all_versions(self._parts.store)).items():
            key = bytes.fromhex(entity_key(self._parts.did, entity_id))
            missing, sent = self._missing.pop(key, None), self._versions.get(key, 0)
            if missing is not None or sent > version:
                recipients = missing.recipients if missing is not None else {}
                behind[entity_id] = _Sent(sent, recipients)
        if behind:
            await self._retry(partial(self._note_sent, behind))

    async def _note_sent(self, sent: Mapping[str, _Sent]) -> None:
        """Note of some entities, by identifier, what was sent of them, and to whom beside those known to."""
        outcome = _Outcome()
        async with self._parts.store.transaction() as tx:
            for entity_id, known in (await announced.states(tx, tuple(sent))).items():
                last = sent[entity_id]
                if known.version < last.version or not known.members.issuperset(last.recipients):
                    had = dict(last.recipients) | _keys_by_member(known)
                    await self._record(tx, known, max(known.version, last.version), had, outcome)
            await self._demands.note(tx, tuple(outcome.due.items()))
        self._demands.committed(tuple(outcome.due.items()))
        if outcome.due:
            self._parts.backlog.addressed.notify()

    # -- what the recipients have ----------------------------------------------------------------------------

    async def _ask_all(
        self, events: Sequence[CommittedEvent], disclosed: dict[int, list[_Disclosure]]
    ) -> list[RestorationSource]:
        """Ask all members for what was sealed for them."""
        members = {one.did: one for one in self._parts.registry.others(self._parts.did)}
        ready = self._parts.ranking.ready(members)
        sources = [await self._ask(members[did], events, disclosed) for did in ready]
        return sources + [RestorationSource(did, 0, 0, PAUSED) for did in members if did not in ready]

    async def _ask(
        self, member: Member, events: Sequence[CommittedEvent], disclosed: dict[int, list[_Disclosure]]
    ) -> RestorationSource:
        """Ask one, until it has answered everything."""
        rest = list(events)
        received = wrong = 0
        while rest:
            try:
                lines = await self._client.fetch(member, [one.position for one in rest])
            except (Refused, Unavailable) as error:
                self._parts.ranking.failed(member.did)
                log.info("sealed_events_not_opened", source=member.did, code=str(error.code))
                return RestorationSource(member.did, received, wrong, str(error.code))
            later = []
            for committed, line in zip(rest, lines, strict=True):
                if line.status == "later":
                    later.append(committed)
                if line.status != "opened":
                    continue
                try:
                    disclosure = self._disclosure(member, committed, line)
                except Refused as error:
                    log.warning("sealed_event_not_opened", source=member.did, code=str(error.code))
                    wrong += 1
                    continue
                received += disclosure.draft is not None
                disclosed[committed.position].append(disclosure)
            assert len(later) < len(rest), "the first one is answered"
            rest = later
        if wrong:
            self._parts.ranking.sent_wrong(member.did, wrong)
        return RestorationSource(member.did, received, wrong)

    def _disclosure(self, member: Member, committed: CommittedEvent, line: ReturnLine) -> _Disclosure:
        """What a member sent of an event, verified by the event.

        Raises:
            Refused: It is something else.
        """
        event = committed.event
        content = self._content(member, event.entity.key, line)
        key, body = content[:KEY_SIZE_BYTES], content[KEY_SIZE_BYTES:]
        if len(key) != KEY_SIZE_BYTES or event.sealed is None:
            raise Refused(Code.HASH_MISMATCH, "What was sent has no content key.")
        context = EventContext(self._league, event.issuer, event.entity.key)
        event_opened = opened_with(event.sealed, key, context)
        if not body:
            return _Disclosure(member, event_opened, None)
        if event_opened.notice.is_withdrawal or not is_announced(body, event_opened, event.hashlink, context):
            raise Refused(Code.HASH_MISMATCH, "The bytes are not those that the event names.")
        notice = event_opened.notice
        version = Retrieval(
            *(event.issuer, notice.entity_key.hex(), notice.type, notice.version),
            *(hashlink_of_digest(notice.digest), committed.position, committed.time),
            nonce=None if notice.nonce is None else notice.nonce.hex(),
        )
        draft = verify(body, version, self._parts.limits, self._check)
        if not isinstance(draft, EntityDraft):
            raise Refused(draft.code, draft.reason)
        return _Disclosure(
            *(member, event_opened),
            msgspec.structs.replace(draft, origin=None, public=False, nonce=notice.nonce),
        )

    def _content(self, member: Member, key: str, line: ReturnLine) -> bytes:
        """What a member sealed for this marketplace.

        Raises:
            Refused: It is sealed for somebody else, or damaged.
        """
        assert line.sealed is not None, "an opened event has both"
        assert line.part is not None, "an opened event has both"
        context, sender = EventContext(self._league, member.did, key), sender_of(line.sealed)
        did = self._parts.did
        secrets = (self._secrets.of_recipient(one, member.did, did, sender) for one in self._keys())
        returned = opened(line.sealed, [one for one in secrets if one is not None], context)
        if returned is None:
            raise Refused(Code.HASH_MISMATCH, "What was sent is sealed for somebody else.")
        return content_of(line.part, returned.content_key, context)

    # -- storing -----------------------------------------------------------------------------------------------

    async def _apply(
        self, events: Sequence[CommittedEvent], disclosed: Mapping[int, Sequence[_Disclosure]]
    ) -> _Outcome:
        """Store what follows from some events, in ledger order."""
        outcome = _Outcome()
        async with self._parts.store.transaction() as tx:
            taking = await restored(tx)
            since = taking.since if taking is not None else ""
            for committed in events:
                ones = disclosed[committed.position]
                if not ones:
                    continue
                notice = ones[0].event.notice
                sent = self._versions.get(notice.entity_key, 0)
                self._versions[notice.entity_key] = max(sent, notice.version)
                if notice.is_withdrawal:
                    await self._withdraw(tx, ones, outcome)
                else:
                    await self._restore(tx, ones, since, outcome)
            await self._demands.note(tx, tuple(outcome.due.items()))
        self._demands.committed(tuple(outcome.due.items()))
        return outcome

    async def _restore(
        self, tx: Transaction, ones: Sequence[_Disclosure], since: str, outcome: _Outcome
    ) -> None:
        """Store the version of an event that some members hold."""
        notice, holders = ones[0].event.notice, [one for one in ones if one.draft is not None]
        draft = holders[0].draft if holders else None
        if draft is None:
            await self._note_missing(tx, ones, outcome)
            return
        missing = self._missing.pop(notice.entity_key, None)
        before = (await announced.states(tx, [draft.id])).get(draft.id)
        before = before or AnnouncedEntity(draft.id, draft.type)
        current, returned = await tx.entity(draft.id), self._returned.get(notice.entity_key)
        is_ours = returned is not None and current is not None and current.hashlink == returned.hashlink
        if current is not None and current.origin is not None:
            return  # another member's, and a person has to decide
        had = (dict(missing.recipients) if missing is not None else {}) | _keys_of_recipients(ones)
        if before.version >= notice.version and not is_ours:
            # What is known here is as new. Who was sent this, though, may be none of those known to have it.
            version = max(notice.version, missing.version if missing is not None else 0)
            self._missing[notice.entity_key] = LostNotice(notice.entity_key, notice.type, version, had)
            return
        if current is None or is_ours or (since and current.modified < since):
            new = draft if current is None or is_ours else with_private(self._policy, draft, current)
            await tx.put(new)
            self._returned[notice.entity_key] = _Returned(new.id, new.hashlink)
            outcome.restored.add(new.id)
        else:
            outcome.present.add(draft.id)
        version = max(before.version, notice.version)
        await self._record(tx, before, version, _keys_by_member(before) | had, outcome)

    async def _note_missing(self, tx: Transaction, ones: Sequence[_Disclosure], outcome: _Outcome) -> None:
        """Some members were sent a version, and none of them has its bytes."""
        notice = ones[0].event.notice
        returned = self._returned.get(notice.entity_key)
        if returned is not None:  # of an earlier version; what they wait for is replaced by what came back
            known = (await announced.states(tx, [returned.entity_id])).get(returned.entity_id)
            if known is not None:
                had = _keys_by_member(known) | _keys_of_recipients(ones)
                await self._record(tx, known, max(known.version, notice.version), had, outcome)
            return
        before = self._missing.get(notice.entity_key)
        recipients = dict(before.recipients) if before is not None else {}
        recipients |= _keys_of_recipients(ones)
        version = max(notice.version, before.version if before is not None else 0)
        self._missing[notice.entity_key] = LostNotice(notice.entity_key, notice.type, version, recipients)

    async def _withdraw(self, tx: Transaction, ones: Sequence[_Disclosure], outcome: _Outcome) -> None:
        """Members were told to remove an entity; what came back of it goes when nobody has it any more."""
        notice = ones[0].event.notice
        lost = {one.member.did for one in ones}
        if missing := self._missing.pop(notice.entity_key, None):
            left = {did: key for did, key in missing.recipients.items() if did not in lost}
            if left:
                self._missing[notice.entity_key] = msgspec.structs.replace(missing, recipients=left)
        returned = self._returned.get(notice.entity_key)
        if returned is None:
            return
        before = (await announced.states(tx, [returned.entity_id])).get(returned.entity_id)
        if before is None or before.version > notice.version:
            return
        had = {did: key for did, key in _keys_by_member(before).items() if did not in lost}
        await self._record(tx, before, notice.version, had, outcome)
        entity: Entity | None = await tx.entity(returned.entity_id)
        if not had and entity is not None and entity.hashlink == returned.hashlink:
            await tx.delete(returned.entity_id)
            del self._returned[notice.entity_key]
            outcome.restored.discard(returned.entity_id)
            outcome.withdrawn.add(returned.entity_id)

    async def _record(
        self,
        tx: Transaction,
        before: AnnouncedEntity,
        version: int,
        had: Mapping[str, str],
        outcome: _Outcome,
    ) -> None:
        """Record what was announced of an entity, and have it sealed anew: the encrypted bytes are lost."""
        audience = audience_text(f"{did} {key}" for did, key in had.items())
        known = msgspec.structs.replace(before, version=version, hashlink=None, audience=audience)
        await announced.record(tx, known)
        outcome.due[before.entity_id] = before.type


def _keys_of_recipients(ones: Sequence[_Disclosure]) -> dict[str, str]:
    """The members that were sent a version, with their keys: those, too, that have not retrieved it."""
    return {one.member.did: one.member.agreement_key for one in ones}


def _keys_by_member(entity: AnnouncedEntity) -> dict[str, str]:
    """The members that have an entity, with the keys for which it was sealed."""
    audience = msgspec.json.decode(entity.audience, type=tuple[str, ...])
    return {did: key for did, _, key in (one.partition(" ") for one in audience)}
