"""The intake: verifies the entities that an origin sent, and stores them as replicas.

An entity has to pass in this order:

1. its bytes have the hash that the event on the ledger names (whoever sent them);
2. they are the canonical form of an entity within the bounds that the league has for every published one
   (`hansa.core.entity_form`), of the event's type, and of the shape that the model of that type demands of
   what a client creates;
3. the issuer's DID and the identifier give the event's key: the event was for this entity;
4. the identifier belongs to the issuer (`hansa.replication.claims`). One of the bound form does when the
   event's nonce binds it to the issuer, and nothing else is looked up; one with a registered prefix belongs
   to the member that has it; for any other the ledger's order decides, so that all members decide alike,
   whenever they retrieve;
5. it brings the replica forward: no deletion of the entity, and no newer version of it, was applied
   meanwhile. Newer events alone do not count, since there may always be one;
6. it meets the conditions of this marketplace (`hansa.replication.conditions`);
7. the identifier is not that of one of our own entities.

Outcomes. An entity that passes is stored with its provenance; one transaction stores all entities of a
response. What fails at step 1, or is missing, can be there later: the version stays pending, without end,
with a back-off of its own up to `retrieval_backoff_limit_s`. Retries of one origin are spread so that there
are about `retrieval_retries_per_s` of them, however many of its entities fail. What fails at steps 2 to 4 is
wrong whoever looks at it: the version is *rejected*, until a newer one, another release, or the operator's
command. At step 6 it is *skipped* until other conditions hold, and a replica of an older version removed. At
step 7 it is *skipped* until our entity is deleted; so is what exceeds a limit of this marketplace alone.

Evidence is recorded of a wrong hash and of a version that its origin does not have, if the origin has signed
the answer; and of what is rejected. None is recorded of an absence that another event explains, of a claim
that came so little later than another member's that neither can have known of the other, nor of anything that
depends on this marketplace.

An origin answers `pending` where an entity is not public there yet, though its event is committed: it is
requested again after a pause that begins at a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import structlog

from hansa.core.backoff import backoff_s
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock, epoch_ms, read_rfc3339
from hansa.core.entity_form import form_violation, size_violation
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy, entity_key, is_bound_form, is_bound_to
from hansa.core.limits import Limits
from hansa.core.members import prefix_owner
from hansa.core.retry import Retry
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.pubsub.bus import Bus
from hansa.replication.auditing.outcomes import EventOutcomes
from hansa.replication.claims import RACE_MAX_S, earlier_claim, first_claims
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import is_withheld, reason_of
from hansa.replication.exchange import AnswerProof, ResponseLine
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.bounds import DAY_MS
from hansa.replication.replicas.rejections import Rejection, absence, unproved
from hansa.replication.sources.honesty import record_proof
from hansa.store import Entity, EntityDraft, Store, Transaction
from hansa.store.index.extraction import IndexedFields
from hansa.store.tables import evidence, heads, origins
from hansa.store.tables.heads import HeadState, NewHead, Retrieval
from hansa.store.tables.origins import Origin

ENTITIES_PER_TURN: Final = 32
"""Entities verified before others on the event loop get their turn."""
SOON_S: Final = 0.02
"""First pause before a version is requested again that its origin is about to make public."""
HEALED_AFTER_ATTEMPTS: Final = 3
"""A version that is stored after so many failures shows that others may be available again, too."""
HEALED_BATCH_MAX: Final = 200
"""So many others are requested again at once then, each of which can bring forward as many."""
CURABLE: Final = (str(Code.HASH_MISMATCH), str(Code.RETRIEVAL_MISSING))
"""Failures of one version that end for many at a time, as when a proxy or a store is repaired."""

log = structlog.get_logger()


class IntakeCounters(msgspec.Struct, frozen=True):
    """What was stored and rejected since the start."""

    entities_stored: int = 0
    entities_rejected: int = 0
    bytes_stored: int = 0


Index: TypeAlias = Callable[[str, dict[str, Any], str | None], IndexedFields]
"""Takes a collection, an entity and its parent: what of it is indexed (`Store.indexed`)."""
EntityCheck: TypeAlias = Callable[[str, dict[str, Any]], str | None]
"""Takes a collection and an entity, which it may change: what is wrong with the entity, as the end of a
sentence about it, judged by the model of the collection; None: nothing."""


def check_type(collection: str, entity: dict[str, Any]) -> str | None:
    """The `EntityCheck` without models: the entity's `@type` is the name of the collection."""
    is_of_type = entity.get("@type") == collection
    return None if is_of_type else f"is not of the type {collection} that the event names"


def private_reason(type_name: str) -> str:
    """Why an event about a type is rejected that is private everywhere."""
    return f"Entities of type {type_name} are private; no event may announce one."


def verify(
    body: bytes,
    retrieval: Retrieval,
    limits: Limits,
    check: EntityCheck = check_type,
    index: Index | None = None,
    *,
    is_held: bool = False,
) -> EntityDraft | Rejection:
    """The replica that a body is, or why it is none (steps 1 to 3, and 4 for bound identifiers).

    Args:
        body: As the origin sent it.
        retrieval: The version that was requested.
        limits: `entity_size_max_bytes`.
        check: By the models.
        index: What of the replica is indexed, so that nobody decodes it again for that; None: it is not said.
        is_held: Whether it was seen before that the bytes have the hash.
    """
    link = retrieval.hashlink if is_held else hashlink(body)
    if link != retrieval.hashlink:
        reason = f"The bytes have the hashlink {link}; the event names {retrieval.hashlink}."
        return Rejection(Code.HASH_MISMATCH, reason, "pending")
    too_large = size_violation(body)
    if too_large is not None:
        return Rejection(Code.RETRIEVAL_TOO_LARGE, f"The entity {too_large}.")
    if len(body) > limits.entity_size_max_bytes:
        reason = f"The entity has {len(body)} bytes, more than entity_size_max_bytes here."
        return Rejection(Code.RETRIEVAL_TOO_LARGE, reason, "skipped", is_evidence=False)
    try:
        entity = msgspec.json.decode(body)
        is_canonical = canonical_json(entity) == body
    except (*UNREADABLE, Refused):
        return Rejection(Code.ENTITY_INVALID, "The bytes are not JSON that can be stored.")
    violation = form_violation(body, entity) if is_canonical else "is not in canonical form"
    if violation is not None:
        return Rejection(Code.ENTITY_INVALID, f"The entity {violation}.")
    entity_id: str = entity["id"]
    if entity_key(retrieval.issuer, entity_id) != retrieval.key:
        reason = "The entity's identifier does not give the key that the event names."
        return Rejection(Code.KEY_MISMATCH, reason)
    indexed = index(retrieval.type, entity, None) if index is not None else None
    violation = check(retrieval.type, entity)
    if violation is not None:
        return Rejection(Code.ENTITY_INVALID, f"The entity {violation}.")
    if is_bound_form(entity_id) and not _is_bound(entity_id, retrieval):
        reason = f"The identifier {entity_id} is not bound to {retrieval.issuer} by the nonce of its event."
        return Rejection(Code.IDENTIFIER_STOLEN, reason)
    return EntityDraft(
        entity_id, retrieval.type, body, link, public=True, origin=retrieval.issuer, indexed=indexed
    )


def _is_bound(entity_id: str, retrieval: Retrieval) -> bool:
    nonce = None if retrieval.nonce is None else bytes.fromhex(retrieval.nonce)
    return is_bound_to(entity_id, retrieval.issuer, nonce)


class Intake:
    """Verifies and stores what origins sent.

    Args:
        store: Where replicas go.
        bus: Has the claims of all members on identifiers.
        registry: The members.
        policy: What is taken in.
        clock: For back-off.
        entropy: For back-off.
        limits: `entity_size_max_bytes`, `retrieval_…`, `evidence_rows_max`.
        check: By the models.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        registry: MemberRegistry,
        policy: DistributionPolicy,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        check: EntityCheck = check_type,
    ) -> None:
        self._check = check
        self._store = store
        self._bus = bus
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        backoff_max_s = limits.retrieval_backoff_max_s
        self._retry = Retry("intake", clock, entropy, limits.retrieval_backoff_min_s, backoff_max_s)
        self._counters = IntakeCounters()

    @property
    def counters(self) -> IntakeCounters:
        """What was stored and rejected since the start."""
        return self._counters

    async def process(
        self,
        origin: Origin,
        requested: Sequence[Retrieval],
        lines: Sequence[ResponseLine],
        proof: AnswerProof | None,
        *,
        is_held: bool = False,
    ) -> int:
        """Store or reject what was sent for versions of an origin; for how many of them that was wrong bytes.

        Args:
            origin: Which.
            requested: Versions of its entities.
            lines: A response, a line for each of them.
            proof: That the origin sent them; without one they are evidence of nothing but what they say
                themselves.
            is_held: Whether it was seen before that the bytes have the hashes of their events.
        """
        assert len(lines) == len(requested), "a response has a line for each requested version"
        assert all(one.issuer == origin.did for one in requested), "these are of the origin"
        drafts: dict[Retrieval, EntityDraft] = {}
        rejections: dict[Retrieval, Rejection] = {}
        size_bytes = 0
        verification_s = 0.0
        for n, (retrieval, line) in enumerate(zip(requested, lines, strict=True), 1):
            started_at_s = self._clock.monotonic()
            if isinstance(line.entity, msgspec.Raw):
                body = bytes(line.entity)
                size_bytes += len(body)
                outcome = await self._verified(body, retrieval, is_held=is_held)
                if isinstance(outcome, EntityDraft):
                    drafts[retrieval] = outcome
                else:
                    rejections[retrieval] = outcome
            elif line.status != "later":  # then it is requested again at once
                rejections[retrieval] = absence(line)
            verification_s += self._clock.monotonic() - started_at_s
            if n % ENTITIES_PER_TURN == 0:
                await asyncio.sleep(0)
        claimed: dict[Retrieval, Rejection] = {}
        if chosen := {one: draft for one, draft in drafts.items() if not is_bound_form(draft.id)}:
            claimed = await self._retry(partial(self._reject_claimed, origin.did, chosen))
            rejections |= claimed
        accepted = {retrieval: draft for retrieval, draft in drafts.items() if retrieval not in claimed}
        if proof is None:
            rejections = {one: unproved(rejection) for one, rejection in rejections.items()}
        cost = (size_bytes, round(verification_s * 1000))
        await self._retry(partial(self._apply, origin, accepted, rejections, cost, proof))
        return sum(one.code is Code.HASH_MISMATCH for one in rejections.values())

    async def verified(self, issuer: str, bodies: Mapping[Retrieval, bytes]) -> dict[Retrieval, EntityDraft]:
        """The replicas that some bodies of an issuer are; of those that do not hold, nothing is recorded."""
        drafts: dict[Retrieval, EntityDraft] = {}
        for n, (retrieval, body) in enumerate(bodies.items(), 1):
            outcome = await self._verified(body, retrieval)
            if isinstance(outcome, EntityDraft):
                drafts[retrieval] = outcome
            if n % ENTITIES_PER_TURN == 0:
                await asyncio.sleep(0)
        if chosen := {one: draft for one, draft in drafts.items() if not is_bound_form(draft.id)}:
            claimed = await self._retry(partial(self._reject_claimed, issuer, chosen))
            drafts = {retrieval: draft for retrieval, draft in drafts.items() if retrieval not in claimed}
        return drafts

    async def _verified(
        self, body: bytes, retrieval: Retrieval, *, is_held: bool = False
    ) -> EntityDraft | Rejection:
        if retrieval.type not in self._policy.types:
            return Rejection(Code.ENTITY_INVALID, private_reason(retrieval.type))
        work = partial(
            verify, body, retrieval, self._limits, self._check, self._store.indexed, is_held=is_held
        )
        return work() if len(body) <= SMALL_MAX_BYTES else await asyncio.to_thread(work)

    # -- claims ---------------------------------------------------------------------------------------------

    async def _reject_claimed(
        self, issuer: str, drafts: dict[Retrieval, EntityDraft]
    ) -> dict[Retrieval, Rejection]:
        """Rejections of entities that are new here and whose chosen identifier belongs to another member."""
        known = await heads.known_keys(self._store, issuer, [retrieval.key for retrieval in drafts])
        new = {retrieval: draft for retrieval, draft in drafts.items() if retrieval.key not in known}
        if not new:
            return {}
        members = await self._registry.members()
        owners = {draft.id: prefix_owner(members, draft.id) for draft in new.values()}
        claims = await first_claims(self._bus, members, [each for each in owners if owners[each] is None])
        rejections: dict[Retrieval, Rejection] = {}
        for retrieval, draft in new.items():
            owner = owners[draft.id]
            if owner is not None:
                if owner.did != issuer:
                    reason = f"The prefix of {draft.id} is registered for {owner.did}, not for the issuer."
                    rejections[retrieval] = Rejection(Code.IDENTIFIER_STOLEN, reason)
                continue
            own = claims[draft.id].get(issuer, retrieval.position)
            earlier = earlier_claim(claims[draft.id], issuer, own)
            if earlier is not None:
                rejections[retrieval] = await self._claimed(own, *earlier)
        return rejections

    async def _claimed(self, own: int, owner: str, position: int) -> Rejection:
        """The rejection of a claim at one position, since another member's is at an earlier one."""
        reason = f"{owner} claimed the identifier before, at position {position}; this claim is at {own}."
        first, later = [read_rfc3339(await self._time_of(each)) for each in (position, own)]
        is_late = (later - first).total_seconds() > RACE_MAX_S
        return Rejection(Code.IDENTIFIER_CLAIMED, reason, is_evidence=is_late)

    async def _time_of(self, position: int) -> str:
        """Time of the block that committed an event."""
        page = await self._bus.search(position - 1, limit=1)
        assert page.events, "a claim is on the ledger"
        return page.events[0].time

    # -- storing --------------------------------------------------------------------------------------------

    async def _apply(
        self,
        origin: Origin,
        accepted: Mapping[Retrieval, EntityDraft],
        rejections: Mapping[Retrieval, Rejection],
        cost: tuple[int, int],
        proof: AnswerProof | None,
    ) -> None:
        stored: list[NewHead] = []
        rejected = 0
        reported: dict[Code, list[Retrieval]] = {}
        is_healed, outcomes = False, EventOutcomes()
        async with self._store.transaction() as tx:
            before = await heads.of_keys(tx, origin.did, [one.key for one in (*accepted, *rejections)])
            progress = {
                one: draft
                for one, draft in accepted.items()
                if (head := before.get(one.key)) is not None and head.is_brought_forward_by(one)
            }
            for outcome in await self.write(tx, progress):
                outcomes.note_head(outcome)
                if outcome.state != "stored":
                    await _end(tx, before[outcome.version.key], outcome)
                    rejected += 1
                    continue
                stored.append(outcome)
                is_healed |= outcome.version.attempts >= HEALED_AFTER_ATTEMPTS
            await heads.record_stored(tx, origin.did, stored, before)
            failed = max(origin.failed, sum(one.state == "pending" for one in rejections.values()))
            for retrieval, rejection in rejections.items():
                head = before.get(retrieval.key)
                if head is not None and head.is_due(retrieval):
                    if await self._reject(tx, failed, retrieval, rejection):
                        reported.setdefault(rejection.code, []).append(retrieval)
                        outcomes.note("refused", retrieval.position, rejection.code)
                    rejected += 1
            wrong = [one for one, rejection in rejections.items() if rejection.code is Code.HASH_MISMATCH]
            await record_proof(tx, wrong, Code.HASH_MISMATCH, proof)
            if is_healed:
                now = epoch_ms(self._clock)
                await heads.bring_forward(tx, origin.did, CURABLE, now, now, HEALED_BATCH_MAX)
            if any(cost):
                await origins.count_received(tx, origin.did, epoch_ms(self._clock) // DAY_MS, *cost)
            await outcomes.append(tx, member=origin.did)
        _report(reported, rejections)
        assert len(stored) <= len(accepted), "an accepted entity is stored once at most"
        assert len(stored) + rejected <= len(accepted) + len(rejections), (
            "a retrieval has one outcome at most"
        )
        self.count_stored(stored, rejected)

    def count_stored(self, stored: Sequence[NewHead], rejected: int = 0) -> None:
        """Replicas were written, and others rejected, in a transaction that was committed."""
        self._counters = IntakeCounters(
            self._counters.entities_stored + len(stored),
            self._counters.entities_rejected + rejected,
            self._counters.bytes_stored + sum(one.size_bytes for one in stored),
        )

    async def write(self, tx: Transaction, drafts: Mapping[Retrieval, EntityDraft]) -> list[NewHead]:
        """Write verified replicas of one issuer, unless a condition or an own entity is in their way.

        Returns:
            What their heads are.
        """
        present = await tx.collections_of([draft.id for draft in drafts.values()])
        added: list[EntityDraft] = []
        outcomes: list[NewHead] = []
        for retrieval, draft in drafts.items():
            unmet = self._policy.accepts(draft)
            if unmet is not None and await is_withheld(tx, unmet, retrieval.issuer, retrieval.key):
                reason = reason_of(unmet)
                outcomes.append(NewHead(retrieval, "skipped", str(Code.CONDITION_UNMET), reason))
                continue
            local = await tx.entity(draft.id) if draft.id in present else None
            if local is not None and local.origin is None:
                outcomes.append(await _conflict(tx, retrieval, draft.id))
                continue
            outcomes.append(
                NewHead(retrieval, "stored", entity_id=draft.id, size_bytes=len(draft.body)),
            )
            if local is None:
                added.append(draft)
                continue
            if local.origin != retrieval.issuer:
                await _displace(tx, local, retrieval.issuer)
            await tx.put(draft)
        await tx.add_all(added)
        return outcomes

    async def _reject(self, tx: Transaction, failed: int, retrieval: Retrieval, rejection: Rejection) -> bool:
        """Record a rejection; whether it is logged: the first time, and when it is for good.

        `failed` is the number of pending retrievals of the origin that have failed.
        """
        if rejection.is_evidence:
            rows_max = self._limits.evidence_rows_max
            await evidence.record(tx, retrieval, str(rejection.code), rejection.reason, rows_max)
        if rejection.state != "pending":
            await heads.conclude(tx, retrieval, rejection.state, str(rejection.code), rejection.reason)
            return True
        due_ms = epoch_ms(self._clock) + int(1000 * self._pause_s(failed, retrieval, rejection))
        await heads.postpone(tx, retrieval, due_ms, str(rejection.code), rejection.reason)
        return retrieval.attempts == 0 and rejection.is_evidence

    def _pause_s(self, failed: int, retrieval: Retrieval, rejection: Rejection) -> float:
        """How long to wait before an entity is requested again, in seconds.

        The more entities of the origin fail, the longer each waits, so that their retries come at a bounded
        rate.
        """
        limits, attempts = self._limits, retrieval.attempts + 1
        if rejection.is_soon:
            return backoff_s(attempts, SOON_S, limits.retrieval_backoff_max_s, self._entropy)
        limit_s = limits.retrieval_backoff_limit_s
        pause_s = backoff_s(attempts, limits.retrieval_backoff_min_s, limit_s, self._entropy)
        spread_s = backoff_s(1, failed / limits.retrieval_retries_per_s, limit_s, self._entropy)
        return max(pause_s, spread_s if failed > 1 else 0.0)


async def _conflict(tx: Transaction, retrieval: Retrieval, entity_id: str) -> NewHead:
    """Leave our entity, although the issuer's claim is the earliest on the ledger: a person has to decide."""
    await evidence.record_conflicts(tx, [(entity_id, retrieval.issuer, retrieval.position)])
    log.warning("own_identifier_claimed", entity=entity_id, issuer=retrieval.issuer)
    reason = f"An entity of this marketplace has the identifier {entity_id}."
    return NewHead(retrieval, "skipped", str(Code.IDENTIFIER_CLAIMED), reason)


async def _end(tx: Transaction, head: HeadState, outcome: NewHead) -> None:
    """A version was retrieved and is not stored; neither is an older one, if it is the newest."""
    if head.is_due(outcome.version):
        await heads.conclude(tx, outcome.version, outcome.state, outcome.problem, outcome.reason)
        await heads.remove_replica(tx, head)


async def _displace(tx: Transaction, replica: Entity, owner: str) -> None:
    """A replica is replaced by an entity of the member that has registered the prefix of its identifier."""
    assert replica.origin is not None, "a replica has an origin"
    reason = f"The identifier {replica.id} belongs to {owner}."
    key = entity_key(replica.origin, replica.id)
    await heads.displace(tx, replica.origin, key, str(Code.IDENTIFIER_STOLEN), reason)


def _report(reported: dict[Code, list[Retrieval]], rejections: Mapping[Retrieval, Rejection]) -> None:
    """Log rejections, one line for each code.

    An origin that announces what it does not serve must not write a line for each entity into the logs of
    others.
    """
    for code, rejected in reported.items():
        first = rejected[0]
        log.warning(
            "entities_rejected",
            code=str(code),
            issuer=first.issuer,
            count=len(rejected),
            position=first.position,
            reason=rejections[first].reason,
        )
