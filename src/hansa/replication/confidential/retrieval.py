"""The confidential retriever: from notices to private replicas.

Every origin is served by itself, one request at a time, of those of its versions that are due. What the
origin sends is decrypted, has to have the salted hash of the event and the digest of the notice, and passes
what every other entity passes (`hansa.replication.intake.verify`). Its identifier has to be bound to the
origin, or to have a prefix that is registered for it: so it can be no other member's, and needs no claim.

Outcomes for a version: *stored*; *pending*, tried again with a pause that doubles, when the origin does not
have it or sent something else, when the origin is over a bound, or while a public replica of the entity is
still here; *skipped*, when a condition or a limit of this marketplace keeps it out, or an own entity has its
identifier; *rejected* and recorded as evidence, when it is wrong whoever looks at it.

An exchange that fails delays all of its origin. One that the operator has paused is not requested. No version
is given up while its notice is the newest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
import structlog

from hansa.core.backoff import Backoff, backoff_s
from hansa.core.canonical import hashlink_of_digest
from hansa.core.clock import Clock, epoch_ms
from hansa.core.confidential.sealing import EventContext, Notice, OpenedEvent, body_of
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpClient, RequestSigner
from hansa.core.identifiers import Entropy, is_bound_form
from hansa.core.limits import Limits
from hansa.core.members import prefix_owner
from hansa.core.retry import Retry
from hansa.replication.auditing.outcomes import EventOutcomes, code_with_condition
from hansa.replication.backlog import Backlog
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import reason_of
from hansa.replication.confidential.exchange import KEYS_MAX, PartLine, PartsClient
from hansa.replication.confidential.recognition import remove_replica, without_bytes
from hansa.replication.intake import EntityCheck, verify
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.rejections import Rejection
from hansa.store import EntityDraft, Store, Transaction
from hansa.store.tables import evidence, origins
from hansa.store.tables.confidential import received
from hansa.store.tables.confidential.received import ReceivedHead
from hansa.store.tables.heads import Retrieval

log = structlog.get_logger()


class ReceivedCounters(msgspec.Struct, frozen=True):
    """What a confidential retriever has done since it started."""

    exchanges_failed: int = 0
    entities_stored: int = 0
    entities_rejected: int = 0


class _Lane:
    """The requests to one origin."""

    def __init__(self, pauses: Backoff) -> None:
        self.pauses = pauses
        self.is_busy = False
        self.due_ms = 0
        """When something may be requested again; milliseconds since 1970."""


class ConfidentialRetriever:
    """Retrieves what was sealed for this marketplace. One per store.

    Args:
        store: Has the notices, and takes the replicas.
        registry: Where the origins are, and which prefixes are theirs.
        http: To the origins.
        signer: Proves to an origin which member it is.
        policy: What of the catalogue is taken in.
        backlog: Wakes it.
        league: Name of the chain.
        clock: For pauses.
        entropy: For pauses.
        limits: `retrieval_…`, `entity_size_max_bytes`, `evidence_rows_max`, `confidential_…`.
        check: By the models.
    """

    def __init__(
        self,
        store: Store,
        registry: MemberRegistry,
        http: HttpClient,
        signer: RequestSigner,
        policy: DistributionPolicy,
        backlog: Backlog,
        league: str,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        check: EntityCheck,
    ) -> None:
        self._store = store
        self._registry = registry
        self._client = PartsClient(http, signer, limits)
        self._policy = policy
        self._changed = backlog.sealed
        self._league = league
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._check = check
        self._lanes: dict[str, _Lane] = {}
        self._counters = ReceivedCounters()
        pauses_s = (limits.retrieval_backoff_min_s, limits.retrieval_backoff_max_s)
        self._retry = Retry("confidential retriever", clock, entropy, *pauses_s)

    @property
    def counters(self) -> ReceivedCounters:
        """What has been done since the start."""
        return self._counters

    async def run(self) -> None:
        """Retrieve until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        await self._retry(self._bound_pauses)
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._changed.count
                pause_s = await self._start_requests(tasks)
                if pause_s is not None and pause_s > self._limits.retrieval_backoff_limit_s + 1:
                    await self._retry(self._bound_pauses)
                    continue
                await self._changed.wait(seen, pause_s)

    async def _bound_pauses(self) -> None:
        """Shorten pauses that are longer than any may be, as after the clock was set back by hours."""
        now, limits = epoch_ms(self._clock), self._limits
        for lane in self._lanes.values():
            lane.due_ms = min(lane.due_ms, now + int(limits.retrieval_backoff_max_s * 1000))
        async with self._store.transaction() as tx:
            await received.bound_pauses(tx, now + int(limits.retrieval_backoff_limit_s * 1000))

    async def _start_requests(self, tasks: asyncio.TaskGroup) -> float | None:
        """Request what is due; seconds until something else is, None when nothing will be by itself."""
        now, next_ms = epoch_ms(self._clock), []
        paused = await origins.paused(self._store)
        for issuer, first_ms in (await received.pending_issuers(self._store)).items():
            lane = self._lanes.get(issuer) or self._new_lane(issuer)
            due_ms = max(first_ms, lane.due_ms)
            if lane.is_busy or issuer in paused:
                continue
            if due_ms > now:
                next_ms.append(due_ms)
                continue
            lane.is_busy = True
            tasks.create_task(self._process(issuer, lane))
        return max(0.001, (min(next_ms) - now) / 1000) if next_ms else None

    def _new_lane(self, issuer: str) -> _Lane:
        limits = self._limits
        pauses = Backoff(limits.retrieval_backoff_min_s, limits.retrieval_backoff_max_s, self._entropy)
        return self._lanes.setdefault(issuer, _Lane(pauses))

    async def _process(self, issuer: str, lane: _Lane) -> None:
        """One exchange with an origin, and what follows from it."""
        due = await received.due(self._store, issuer, epoch_ms(self._clock), KEYS_MAX)
        totals = await received.totals(self._store, issuer)
        # What replaces a replica may come; the bound is on what is new.
        room = max(0, self._limits.confidential_entities_per_origin_max - totals.entities)
        if totals.size_bytes >= self._limits.confidential_per_origin_max_bytes:
            room = 0
        new = [one for one in due if one.entity_id is None]
        allowed = [one for one in due if one.entity_id is not None or one in new[:room]]
        if len(allowed) < len(due):
            await self._retry(partial(self._postpone_all, [one for one in due if one not in allowed]))
        if allowed:
            await self._exchange(issuer, lane, allowed)
        lane.is_busy = False
        self._changed.notify()

    async def _postpone_all(self, heads: Sequence[ReceivedHead]) -> None:
        code, reason = (
            str(Code.ORIGIN_BOUND_REACHED),
            "The origin is over a bound (confidential_…_per_origin_…).",
        )
        async with self._store.transaction() as tx:
            for head in heads:
                await self._postpone(tx, head, code, reason)

    async def _exchange(self, issuer: str, lane: _Lane, due: Sequence[ReceivedHead]) -> None:
        try:
            member = await self._registry.member(issuer)
            lines = None
            if member is not None:
                lines = await self._client.fetch(member, [one.key for one in due])
        except (Refused, Unavailable) as error:
            lines, code = None, error.code
            self._count(exchanges_failed=1)
            log.info("confidential_exchange_failed", issuer=issuer, code=str(code))
        if lines is None:
            lane.due_ms = epoch_ms(self._clock) + int(1000 * lane.pauses.next_s())
            return
        lane.pauses.reset()
        outcomes: dict[ReceivedHead, EntityDraft | Rejection] = {}
        for head, line in zip(due, lines, strict=True):
            if line.status != "later":
                outcomes[head] = self._outcome(head, line)
                await asyncio.sleep(0)
        await self._retry(partial(self._apply, outcomes))

    def _count(self, **added: int) -> None:
        assert all(count >= 0 for count in added.values()), "counters only grow"
        current = {name: getattr(self._counters, name) + count for name, count in added.items()}
        self._counters = msgspec.structs.replace(self._counters, **current)

    # -- verifying --------------------------------------------------------------------------------------------

    def _outcome(self, head: ReceivedHead, line: PartLine) -> EntityDraft | Rejection:
        """The private replica that a line gives, or why it gives none."""
        assert head.content_key is not None, "what is pending can be decrypted"
        if line.part is None:
            reason = "The origin has no bytes for this member under the event."
            return Rejection(Code.RETRIEVAL_MISSING, reason, "pending", is_evidence=False)
        notice = Notice(head.entity_key, head.type, head.version, head.digest, head.nonce)
        context = EventContext(self._league, head.issuer, head.key)
        try:
            body = body_of(line.part, OpenedEvent(notice, head.content_key), head.hashlink, context)
        except Refused as error:
            return Rejection(error.code, error.message, "pending")
        draft = verify(body, retrieval_of_head(head), self._limits, self._check)
        if isinstance(draft, Rejection):
            return draft
        if not is_bound_form(draft.id):
            owner = prefix_owner(self._registry.known(), draft.id)
            if owner is None or owner.did != head.issuer:
                reason = "Its identifier is neither bound to its origin, nor has it a prefix of that."
                return Rejection(Code.IDENTIFIER_STOLEN, reason)
        return msgspec.structs.replace(draft, public=False)

    # -- storing ----------------------------------------------------------------------------------------------

    async def _apply(self, outcomes: dict[ReceivedHead, EntityDraft | Rejection]) -> None:
        stored = rejected = 0
        audited = EventOutcomes()
        async with self._store.transaction() as tx:
            for requested, outcome in outcomes.items():
                head = await received.of_entity(tx, requested.issuer, requested.entity_key)
                if head is None or head.state != "pending" or head.key != requested.key:
                    continue  # a newer notice has come
                if isinstance(outcome, Rejection):
                    await self._reject(tx, head, outcome)
                    rejected += 1
                    if outcome.is_evidence:
                        audited.note("refused", head.position, str(outcome.code))
                elif await self._write(tx, head, outcome, audited):
                    stored += 1
                    audited.note("retrieved", head.position)
            if outcomes:
                await audited.append(tx, member=next(iter(outcomes)).issuer)
        self._count(entities_stored=stored, entities_rejected=rejected)

    async def _write(
        self, tx: Transaction, head: ReceivedHead, draft: EntityDraft, audited: EventOutcomes
    ) -> bool:
        """Write a verified replica, unless something is in its way; whether it was written."""
        unmet = self._policy.accepts_addressed(draft)
        local = await tx.entity(draft.id)
        if unmet is not None:
            await self._skip(tx, head, str(Code.CONDITION_UNMET), reason_of(unmet), audited)
            return False
        if local is not None and local.origin != head.issuer:
            reason = "Another entity here has its identifier."
            await self._skip(tx, head, str(Code.IDENTIFIER_CLAIMED), reason, audited)
            return False
        if local is not None and local.public:
            reason = "It is a public replica still, which its origin has to withdraw first."
            await self._postpone(tx, head, str(Code.CONFLICT), reason)
            return False
        await tx.put(draft)
        done = msgspec.structs.replace(
            head,
            state="stored",
            content_key=None,
            problem=None,
            reason=None,
            entity_id=draft.id,
            size_bytes=len(draft.body),
        )
        await received.record(tx, done)
        log.info("confidential_entity_received", issuer=head.issuer, key=head.key, position=head.position)
        return True

    async def _reject(self, tx: Transaction, head: ReceivedHead, rejection: Rejection) -> None:
        if rejection.is_evidence:
            version, rows_max = retrieval_of_head(head), self._limits.evidence_rows_max
            of_event = msgspec.structs.replace(version, key=head.key)
            await evidence.record(tx, of_event, str(rejection.code), rejection.reason, rows_max)
        if rejection.state == "pending":
            await self._postpone(tx, head, str(rejection.code), rejection.reason)
            return
        state: received.State = "skipped" if rejection.state == "skipped" else "rejected"
        await remove_replica(tx, head)
        ended = without_bytes(head, state, problem=str(rejection.code), reason=rejection.reason)
        await received.record(tx, ended)

    async def _skip(
        self, tx: Transaction, head: ReceivedHead, code: str, reason: str, audited: EventOutcomes
    ) -> None:
        audited.note("skipped", head.position, code_with_condition(code, reason))
        await remove_replica(tx, head)
        await received.record(tx, without_bytes(head, "skipped", problem=code, reason=reason))

    async def _postpone(self, tx: Transaction, head: ReceivedHead, code: str, reason: str) -> None:
        limits, attempts = self._limits, head.attempts + 1
        bounds_s = limits.retrieval_backoff_min_s, limits.retrieval_backoff_limit_s
        due_ms = epoch_ms(self._clock) + int(1000 * backoff_s(attempts, *bounds_s, self._entropy))
        later = msgspec.structs.replace(head, attempts=attempts, due_ms=due_ms, problem=code, reason=reason)
        await received.record(tx, later)


def retrieval_of_head(head: ReceivedHead) -> Retrieval:
    """The version of a notice, as `hansa.replication.intake.verify` judges it."""
    return Retrieval(
        issuer=head.issuer,
        key=head.entity_key.hex(),
        type=head.type,
        version=head.version,
        hashlink=hashlink_of_digest(head.digest),
        position=head.position,
        time="",
        nonce=head.nonce.hex() if head.nonce is not None else None,
    )
