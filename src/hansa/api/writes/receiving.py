"""`POST /league/v1/writes`: a write to an entity of ours, of a member for one of its callers.

It passes, in this order: the bound on its size; the signature of the request, which says which
member sends it; the delegation, which says for whom, what, and until when (`hansa.identity.delegations`); the
rules of the operator, by which nobody may forward anything unless a rule says so; the memory of delegations,
which outlasts a restart. Then it is carried out as every other write (`hansa.business`), once for each
idempotency key, and answered when the event about it is committed or that takes too long.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import signing_member
from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.core.access import Caller
from hansa.core.audit import AuditNotes
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.forwarding import (
    ACTIONS,
    DELEGATION_HEADER,
    FRAME_SIZE_BYTES,
    KEY_LENGTH_MAX_CHARS,
    DelegationClaims,
    DelegationPolicy,
    DelegationVerifier,
    ForwardedWrite,
    OriginAnswer,
)
from hansa.core.http import CallerCheck
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.replication.publisher import PUBLISHER_CURSOR
from hansa.store import Store
from hansa.store.tables import publications
from hansa.store.tables.confidential import announced
from hansa.store.tables.confidential.announced import Announcement
from hansa.store.tables.writes import delegations

POLL_S: Final = 0.02
WAITS_PER_MEMBER_MAX: Final = 16
"""Writes of one member whose answers wait for a position at a time; those of others name none."""
_write_decoder: Final = msgspec.json.Decoder(ForwardedWrite)


class CarriesOut(Protocol):
    """Carries out what was forwarded."""

    async def carry_out(self, write: ForwardedWrite, caller: Caller) -> OriginAnswer:
        """What was written. Raises what the operations raise."""


class ForwardingParts(msgspec.Struct, frozen=True):
    """What forwarded writes pass."""

    operations: CarriesOut
    delegations: DelegationVerifier
    policy: DelegationPolicy


class WritesApi:
    """Receives forwarded writes.

    Args:
        store: For what was published, and the memory of delegations.
        bus: Has the positions of events.
        check: Finds out which member sends.
        parts: Carries out; None where nothing is received.
        clock: For the memory of delegations.
        limits: `body_size_max_bytes`, `delegations_per_member_max`, `request_age_max_s`,
            `forward_position_wait_s`.
        notes: For the audit log; what is carried out is recorded in the transaction that does it.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        check: CallerCheck,
        parts: ForwardingParts | None,
        clock: Clock,
        limits: Limits,
        notes: AuditNotes,
    ) -> None:
        self._store = store
        self._bus = bus
        self._check = check
        self._parts = parts
        self._clock = clock
        self._limits = limits
        self._notes = notes
        self._waits: Counter[str] = Counter()

    async def receive(self, request: Request) -> Response:
        """`POST /league/v1/writes`: what was written."""
        Parameters(request, (), self._limits)
        compact = request.headers.get(DELEGATION_HEADER)
        if compact is None:
            raise _not_forwarded()
        if self._parts is None:
            raise Refused(Code.FORBIDDEN, "Nothing that others forward is taken here.")
        size_max_bytes = self._limits.body_size_max_bytes * 4 // 3 + FRAME_SIZE_BYTES
        body = await json_body(request, size_max_bytes)
        member = await signing_member(self._check, request, body)
        if member is None:
            raise _not_forwarded()
        claims: DelegationClaims | None = None
        try:
            claims = self._parts.delegations.verified(compact, member, body)
            answer = await self._carried_out(self._parts, _read(body, claims), claims)
        except HansaError as error:
            subject = claims.sub if claims is not None else None
            self._notes.refused(member, "write", str(error.code), subject)
            raise
        position = await self._awaited_position(member, answer.id)
        return json_response(msgspec.structs.replace(answer, position=position))

    async def _carried_out(
        self, parts: ForwardingParts, write: ForwardedWrite, claims: DelegationClaims
    ) -> OriginAnswer:
        roles, member = claims.actor.roles, claims.iss
        if not parts.policy.may_forward(member, write.collection, ACTIONS[write.method], roles):
            raise Refused(
                Code.FORBIDDEN, "No rule of this marketplace lets this member forward such a write."
            )
        await self._use(claims)
        return await parts.operations.carry_out(write, claims.actor.caller(claims.sub, member))

    async def _use(self, claims: DelegationClaims) -> None:
        """Remember a delegation until it has expired for certain.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when it was used before.
            Unavailable: `Code.OVERLOADED`, when its member sends too many.
        """
        now_ms = epoch_ms(self._clock)
        forget_ms = max(claims.exp * 1000, now_ms) + int(self._limits.request_age_max_s * 1000)
        async with self._store.transaction() as tx:
            await delegations.forget(tx, now_ms)
            if await delegations.used_count(tx, claims.iss) >= self._limits.delegations_per_member_max:
                raise Unavailable(Code.OVERLOADED, "This member forwards too many writes.")
            if not await delegations.use(tx, claims.iss, claims.jti, forget_ms):
                raise Refused(Code.UNAUTHENTICATED, f"The {DELEGATION_HEADER} header was used before.")

    async def _awaited_position(self, member: str, entity_id: str) -> int | None:
        """`_position`, unless too many writes of the member wait for theirs already."""
        if self._waits[member] >= WAITS_PER_MEMBER_MAX:
            return None
        self._waits[member] += 1
        try:
            return await self._position(member, entity_id)
        finally:
            self._waits[member] -= 1
            if not self._waits[member]:
                del self._waits[member]

    async def _position(self, member: str, entity_id: str) -> int | None:
        """Position of the newest event about an entity, as soon as what was written is announced.

        None when that takes too long, or when nothing is announced of it.
        """
        change = await self._store.last_change()
        until_s = self._clock.monotonic() + self._limits.forward_position_wait_s
        while True:
            if await self._store.cursor(PUBLISHER_CURSOR) >= change:
                announcement = await self._announcement(member, entity_id)
                if not announcement.is_under_way:
                    return announcement.last_position
            if self._clock.monotonic() >= until_s:
                return None
            await self._clock.sleep(POLL_S)

    async def _announcement(self, member: str, entity_id: str) -> Announcement:
        """How far the announcement of an entity, which the publisher has considered, is for a member."""
        publication = (await publications.states(self._store, (entity_id,))).get(entity_id)
        sealed = await announced.announcement(self._store, entity_id) or Announcement()
        if publication is not None and publication.refusal_code is not None:
            publication = None  # nothing of it is announced
        is_under_way = publication is not None and (publication.is_under_way or publication.is_due)
        if sealed.is_under_way or is_under_way:
            return Announcement(is_under_way=True)
        positions = [await self._sealed_position(member, entity_id, sealed)]
        positions += [publication.last_position] if publication is not None else []
        return Announcement(last_position=max(filter(None, positions), default=None))

    async def _sealed_position(self, member: str, entity_id: str, sealed: Announcement) -> int | None:
        """Position of the event that is sealed for a member; of the last withdrawal, when none is."""
        if sealed.last_position is None:
            return None
        keys = await announced.current_keys(self._store, entity_id, member)
        try:
            positions = [claim.last_position for claim in await self._bus.claims(keys)] if keys else []
        except Unavailable:
            return None
        return max(positions, default=sealed.last_position)


def _not_forwarded() -> Refused:
    return Refused(Code.UNAUTHENTICATED, "Writes are forwarded by members, with a delegation.")


def _read(body: bytes, claims: DelegationClaims) -> ForwardedWrite:
    """The write that a delegation is for.

    Raises:
        Refused: `Code.MALFORMED`; `Code.UNAUTHENTICATED`, when the delegation is for another one.
    """
    try:
        write = _write_decoder.decode(body)
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, "The body is not a forwarded write.") from error
    if (claims.htm, claims.htu) != (write.method, write.path):
        raise Refused(Code.UNAUTHENTICATED, f"The {DELEGATION_HEADER} header is for another write.")
    if not 0 < len(write.key) <= KEY_LENGTH_MAX_CHARS:
        raise Refused(Code.INVALID, f"A key has 1 to {KEY_LENGTH_MAX_CHARS} characters.")
    return write
