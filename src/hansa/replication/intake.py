"""The intake: verifies the entities that an origin sent, and stores them as replicas.

An entity has to pass in this order:

1. its bytes have the hash that the event on the ledger names (whoever sent them);
2. they are the canonical form of a JSON object with an identifier, of the event's type, and without `href`;
3. the issuer's DID and the identifier give the event's key: the event was for this entity;
4. the identifier belongs to the issuer (`hansa.replication.claims`). One of the bound form does when the
event's
   nonce binds it to the issuer, and nothing else is asked; one with a registered prefix belongs to the
   member that has it; for any other the ledger's order decides, so that all members decide alike, whenever
   they retrieve;
5. the retrieval is still current: no newer event of the entity, and no deletion, was applied meanwhile;
6. the identifier is not that of one of our own entities.

Outcomes: an entity that passes is stored with its provenance, and its retrieval is settled; one transaction
stores all entities of a response. A missing entity or a wrong hash can be temporary, so the version is
requested again with a back-off of its own, up to `retrieval_attempts_max` times. What fails at a later step
is final: nothing is requested until there is another event. Failures are recorded as evidence against the
issuer, except for an absence that another event explains, and for a claim that came so little later than
another member's that neither can have known of the other.

An origin answers `pending` where an entity is not public there yet, though its event is committed: it is
requested again after a pause that begins at a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import structlog

from hansa.core.backoff import Retry, backoff_s
from hansa.core.bounded_json import is_deeper_than
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy, entity_key, is_bound_form, is_bound_to
from hansa.core.limits import Limits
from hansa.core.members import prefix_owner
from hansa.pubsub.bus import Bus
from hansa.replication.claims import RACE_MAX_S, earlier_claim, first_claims
from hansa.replication.exchange import ResponseLine
from hansa.replication.registry import MemberRegistry
from hansa.store import EntityDraft, Store, Transaction
from hansa.store.tables import retrievals
from hansa.store.tables.retrievals import Retrieval

ENTITIES_PER_TURN: Final = 32
"""Entities verified before others on the event loop get their turn."""
SOON_S: Final = 0.02
"""First pause before a version is requested again that its origin is about to make public."""
EXPECTED_ABSENCES: Final = frozenset({"superseded", "gone", "pending"})
"""Statuses of a response that an event explains which is on its way, or was committed just now."""

log = structlog.get_logger()


class Rejection(msgspec.Struct, frozen=True):
    """Why an entity is not stored."""

    code: Code
    reason: str
    """A sentence for the operator."""
    is_final: bool
    """Whether the version will not be requested again."""
    is_evidence: bool = True
    """Whether it is recorded against the issuer."""
    is_soon: bool = False
    """Whether the version can be expected within milliseconds."""


class IntakeCounters(msgspec.Struct, frozen=True):
    """What was stored and rejected since the start."""

    entities_stored: int = 0
    entities_rejected: int = 0
    bytes_stored: int = 0


TypeCheck: TypeAlias = Callable[[str, object], bool]
"""Takes a collection and an entity's `@type`: whether an entity of that type belongs to the collection."""


def is_same_type(collection: str, type_name: object) -> bool:
    """The `TypeCheck` without subtypes: the names are equal."""
    return type_name == collection


def verify(
    body: bytes, retrieval: Retrieval, limits: Limits, is_of: TypeCheck = is_same_type
) -> EntityDraft | Rejection:
    """The replica that a body is, or why it is none (steps 1 to 3, and 4 for bound identifiers).

    Args:
        body: As the origin sent it.
        retrieval: The version that was requested.
        limits: `entity_size_max_bytes`, `body_depth_max`, `identifier_length_max_chars`.
        is_of: Whether an entity of a type belongs to a collection.
    """
    if len(body) > limits.entity_size_max_bytes:
        return _final(Code.RETRIEVAL_TOO_LARGE, f"The entity has {len(body)} bytes.")
    link = hashlink(body)
    if link != retrieval.hashlink:
        reason = f"The bytes have the hashlink {link}; the event names {retrieval.hashlink}."
        return Rejection(Code.HASH_MISMATCH, reason, is_final=False)
    try:
        entity = msgspec.json.decode(body)
        is_canonical = canonical_json(entity) == body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused):
        return _final(Code.ENTITY_INVALID, "The bytes are not JSON that can be stored.")
    wrong = _wrong_form(entity, retrieval, limits, is_of) if is_canonical else "is not in canonical form"
    if wrong is not None:
        return _final(Code.ENTITY_INVALID, f"The entity {wrong}.")
    if entity_key(retrieval.issuer, entity["id"]) != retrieval.key:
        return _final(
            Code.KEY_MISMATCH, "The entity's identifier does not give the key that the event names."
        )
    if is_bound_form(entity["id"]) and not _is_bound(entity["id"], retrieval):
        reason = (
            f"The identifier {entity['id']} is not bound to {retrieval.issuer} by the nonce of its event."
        )
        return _final(Code.IDENTIFIER_STOLEN, reason)
    return EntityDraft(entity["id"], retrieval.type, body, link, public=True, origin=retrieval.issuer)


def _is_bound(entity_id: str, retrieval: Retrieval) -> bool:
    nonce = None if retrieval.nonce is None else bytes.fromhex(retrieval.nonce)
    return is_bound_to(entity_id, retrieval.issuer, nonce)


def _wrong_form(entity: Any, retrieval: Retrieval, limits: Limits, is_of: TypeCheck) -> str | None:
    if not isinstance(entity, dict):
        return "is not a JSON object"
    identifier = entity.get("id")
    if not isinstance(identifier, str) or not 1 <= len(identifier) <= limits.identifier_length_max_chars:
        return "has no identifier of a length that is allowed"
    if not is_of(retrieval.type, entity.get("@type")):
        return f"is not of the type {retrieval.type} that the event names"
    if "href" in entity:
        return "has an href, which is not part of what is replicated"
    if is_deeper_than(entity, limits.body_depth_max):
        return f"is nested deeper than {limits.body_depth_max} levels"
    return None


def _final(code: Code, reason: str) -> Rejection:
    return Rejection(code, reason, is_final=True)


class Intake:
    """Verifies and stores what origins sent.

    Args:
        store: Where replicas go.
        bus: Has the claims of all members on identifiers.
        registry: The members.
        did: This member.
        clock: For back-off.
        entropy: For back-off.
        limits: `entity_size_max_bytes`, `retrieval_…`, `evidence_rows_max`.
        is_of: Whether an entity of a type belongs to a collection.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        registry: MemberRegistry,
        did: str,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        is_of: TypeCheck = is_same_type,
    ) -> None:
        self._is_of = is_of
        self._store = store
        self._bus = bus
        self._registry = registry
        self._did = did
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
        self, issuer: str, requested: Sequence[Retrieval], lines: Sequence[ResponseLine]
    ) -> None:
        """Store or reject what an origin sent.

        Args:
            issuer: DID of the origin.
            requested: Versions of its entities.
            lines: Its response, a line for each of them.
        """
        assert len(lines) == len(requested), "a response has a line for each requested version"
        assert all(retrieval.issuer == issuer for retrieval in requested), "an origin serves its own entities"
        drafts: dict[Retrieval, EntityDraft] = {}
        rejections: dict[Retrieval, Rejection] = {}
        for n, (retrieval, line) in enumerate(zip(requested, lines, strict=True), 1):
            outcome = self._verify_line(retrieval, line)
            if isinstance(outcome, EntityDraft):
                drafts[retrieval] = outcome
            elif outcome is not None:
                rejections[retrieval] = outcome
            if n % ENTITIES_PER_TURN == 0:
                await asyncio.sleep(0)
        claimed: dict[Retrieval, Rejection] = {}
        if chosen := {one: draft for one, draft in drafts.items() if not is_bound_form(draft.id)}:
            claimed = await self._retry(partial(self._reject_claimed, issuer, chosen))
            rejections |= claimed
        accepted = {retrieval: draft for retrieval, draft in drafts.items() if retrieval not in claimed}
        await self._retry(partial(self._apply, accepted, rejections))

    def _verify_line(self, retrieval: Retrieval, line: ResponseLine) -> EntityDraft | Rejection | None:
        """What becomes of a line; None when the version is to be requested again at once."""
        if isinstance(line.entity, msgspec.Raw):
            return verify(bytes(line.entity), retrieval, self._limits, self._is_of)
        if line.status == "later":
            return None
        reason = f"The origin says that the version is {line.status}."
        is_evidence = line.status not in EXPECTED_ABSENCES
        is_soon = line.status == "pending"
        return Rejection(
            Code.RETRIEVAL_MISSING, reason, is_final=False, is_evidence=is_evidence, is_soon=is_soon
        )

    # -- claims ---------------------------------------------------------------------------------------------

    async def _reject_claimed(
        self, issuer: str, drafts: dict[Retrieval, EntityDraft]
    ) -> dict[Retrieval, Rejection]:
        """Rejections of entities that are new here and whose chosen identifier belongs to another member."""
        known = await retrievals.known_keys(self._store, issuer, [retrieval.key for retrieval in drafts])
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
                    rejections[retrieval] = _final(Code.IDENTIFIER_STOLEN, reason)
                continue
            own = claims[draft.id].get(issuer, retrieval.position)
            earlier = earlier_claim(claims[draft.id], issuer, own)
            if earlier is not None:
                rejections[retrieval] = await self._claimed(own, *earlier)
        return rejections

    async def _claimed(self, own: int, owner: str, position: int) -> Rejection:
        """The rejection of a claim at one position, since another member's is at an earlier one."""
        reason = f"{owner} claimed the identifier before, at position {position}; this claim is at {own}."
        first, later = [datetime.fromisoformat(await self._time_of(each)) for each in (position, own)]
        is_late = (later - first).total_seconds() > RACE_MAX_S
        return Rejection(Code.IDENTIFIER_CLAIMED, reason, is_final=True, is_evidence=is_late)

    async def _time_of(self, position: int) -> str:
        """Time of the block that committed an event."""
        page = await self._bus.search(position - 1, limit=1)
        assert page.events, "a claim is on the ledger"
        return page.events[0].time

    # -- storing --------------------------------------------------------------------------------------------

    async def _apply(
        self, accepted: dict[Retrieval, EntityDraft], rejections: dict[Retrieval, Rejection]
    ) -> None:
        stored = rejected = size_bytes = 0
        reported: dict[Code, list[Retrieval]] = {}
        async with self._store.transaction() as tx:
            for retrieval, draft in accepted.items():
                if not await retrievals.is_current(tx, retrieval):
                    continue
                local = await tx.entity(draft.id)
                if local is not None and local.origin is None:
                    await self._record_conflict(tx, retrieval, draft.id)
                    rejected += 1
                    continue
                await tx.put(draft)
                await retrievals.record_provenance(tx, draft.id, retrieval)
                await retrievals.settle(tx, retrieval)
                stored += 1
                size_bytes += len(draft.body)
            for retrieval, rejection in rejections.items():
                if await retrievals.is_current(tx, retrieval):
                    if await self._reject(tx, retrieval, rejection):
                        reported.setdefault(rejection.code, []).append(retrieval)
                    rejected += 1
        _report(reported, rejections)
        assert stored <= len(accepted), "an accepted entity is stored once at most"
        assert stored + rejected <= len(accepted) + len(rejections), "a retrieval has one outcome at most"
        self._counters = IntakeCounters(
            self._counters.entities_stored + stored,
            self._counters.entities_rejected + rejected,
            self._counters.bytes_stored + size_bytes,
        )

    async def _record_conflict(self, tx: Transaction, retrieval: Retrieval, entity_id: str) -> None:
        """Keep our entity, although the issuer's claim is the earliest on the ledger.

        A person has to decide.
        """
        await retrievals.record_conflicts(tx, [(entity_id, retrieval.issuer, retrieval.position)])
        await retrievals.settle(tx, retrieval)
        log.warning("own_identifier_claimed", entity=entity_id, issuer=retrieval.issuer)

    async def _reject(self, tx: Transaction, retrieval: Retrieval, rejection: Rejection) -> bool:
        """Record a rejection; whether the operator has to be told: the first and the last time."""
        attempts = retrieval.attempts + 1
        is_last = attempts >= self._limits.retrieval_attempts_max
        if rejection.is_evidence or is_last:
            await retrievals.record_evidence(
                tx,
                retrieval.issuer,
                str(rejection.code),
                rejection.reason,
                self._limits.evidence_rows_max,
                retrieval,
            )
        if rejection.is_final or is_last:
            await retrievals.settle(tx, retrieval)
        else:
            due_ms = self.due_ms(attempts, SOON_S if rejection.is_soon else None)
            await retrievals.postpone(tx, retrieval, due_ms, str(rejection.code))
        return is_last or (attempts == 1 and rejection.is_evidence)

    def due_ms(self, attempts: int, pause_min_s: float | None = None) -> int:
        """When to request an entity again after failures in a row, in milliseconds since 1970."""
        limits = self._limits
        pause_min_s = limits.retrieval_backoff_min_s if pause_min_s is None else pause_min_s
        pause_s = backoff_s(attempts, pause_min_s, limits.retrieval_backoff_max_s, self._entropy)
        return now_ms(self._clock) + int(pause_s * 1000)


def _report(reported: dict[Code, list[Retrieval]], rejections: dict[Retrieval, Rejection]) -> None:
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


def now_ms(clock: Clock) -> int:
    """Milliseconds since 1970."""
    return int(clock.now().timestamp() * 1000)
