"""The forwarder: sends a write to a replica to its origin, or has it queued while that cannot be reached."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from hansa.core.access import Caller
from hansa.core.audit import AuditNotes
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.forwarding import Actor, ForwardedWrite, OriginAnswer, QueuedWrite
from hansa.core.limits import Limits
from hansa.replication.forwarding.exchange import OriginAway, OriginWrites
from hansa.replication.forwarding.pseudonyms import Pseudonyms
from hansa.replication.forwarding.queue import WriteQueue
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.tables import origins

PAUSED_RETRY_S: Final = 60.0
"""When a write to an entity of a paused origin may be tried again."""


class OriginDelivery:
    """Sends a write to an origin, where the registry has it now, and notes what came of it.

    Args:
        writes: Sends.
        registry: Has the members.
        store: Says which of them are paused.
        notes: For the audit log.
    """

    def __init__(
        self, writes: OriginWrites, registry: MemberRegistry, store: Store, notes: AuditNotes
    ) -> None:
        self._store = store
        self._notes = notes
        self._writes = writes
        self._registry = registry

    async def __call__(self, origin: str, write: ForwardedWrite, subject: str, actor: Actor) -> OriginAnswer:
        """What the origin wrote. Raises as `OriginWrites.send`."""
        try:
            answer = await self._sent(origin, write, subject, actor)
        except HansaError as error:
            self._notes.refused(origin, "forwarded", str(error.code), subject)
            raise
        digest = hashlib.sha256(msgspec.json.encode(write)).hexdigest()
        self._notes.forwarded(origin, subject, write.method, digest, answer.position)
        return answer

    async def _sent(self, origin: str, write: ForwardedWrite, subject: str, actor: Actor) -> OriginAnswer:
        try:
            member = await self._registry.member(origin)
        except Unavailable as error:
            raise OriginAway(error.code, "The registry of the league cannot be read.") from error
        if member is None or not member.is_current:
            raise Refused(
                Code.READ_ONLY_REPLICA, "The origin of this replica is no member of the league any more."
            )
        if origin in await origins.paused(self._store):
            raise OriginAway(
                Code.UNAVAILABLE, "The operator of this marketplace has paused the origin.", PAUSED_RETRY_S
            )
        return await self._writes.send(member, write, subject, actor)


class Forwarder:
    """The `WriteForwarder` of this marketplace.

    Args:
        delivery: Sends.
        queue: For what cannot be sent.
        pseudonyms: Of callers.
        limits: `forwards_…`.
    """

    def __init__(
        self, delivery: OriginDelivery, queue: WriteQueue, pseudonyms: Pseudonyms, limits: Limits
    ) -> None:
        self._delivery = delivery
        self._queue = queue
        self._pseudonyms = pseudonyms
        self._limits = limits
        self._in_flight: Counter[tuple[str, str]] = Counter()

    async def forward(
        self, origin: str, write: ForwardedWrite, caller: Caller, *, may_queue: bool
    ) -> OriginAnswer | QueuedWrite:
        """See `WriteForwarder`."""
        assert caller.subject is not None, "nobody writes without a token"
        assert caller.member is None, "what was forwarded is not forwarded again"
        subject = self._pseudonyms.of(origin, caller.subject)
        try:
            with self._place(origin, caller.subject):
                return await self._delivery(origin, write, subject, Actor.of(caller))
        except OriginAway:
            if not may_queue:
                raise
        return await self._queue.add(origin, write, caller)

    @contextmanager
    def _place(self, origin: str, subject: str) -> Iterator[None]:
        """A place among the writes that are under way.

        Raises:
            Unavailable: `Code.OVERLOADED`.
        """
        limits = self._limits
        bounds = {
            ("", ""): limits.forwards_in_flight_max,
            ("origin", origin): limits.forwards_per_origin_max,
            ("caller", subject): limits.forwards_per_caller_max,
        }
        if any(self._in_flight[whose] >= count_max for whose, count_max in bounds.items()):
            raise Unavailable(Code.OVERLOADED, "Too many writes are being forwarded.")
        self._in_flight.update(bounds.keys())
        try:
            yield
        finally:
            self._in_flight.subtract(bounds.keys())
            for whose in bounds:
                if not self._in_flight[whose]:
                    del self._in_flight[whose]
