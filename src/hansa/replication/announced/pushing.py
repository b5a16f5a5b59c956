"""The pusher: sends the bytes of a batch of events to the other members while the ledger commits the batch.

Whoever follows has them when it reads the events, and requests nothing. It is an optimisation: the ledger
decides what is stored, and what was not pushed, or not received, is requested.

    offered     a batch that was submitted. `OFFERED_MAX` of them wait; a further one takes the place of the
                oldest
    packed      its bundle (`hansa.replication.announced.bundles`), made once for all members
    sent        to every member that has room for it: `IN_FLIGHT_MAX` requests at a time go to each. A member
                that fails gets nothing until a pause has passed, which doubles up to
                `retrieval_backoff_max_s`

In a bundle is what everybody may have when its batch is committed, whoever it is: an entity that is public
already, under an identifier that nobody else can claim first. A chosen identifier is in no bundle before its
claim is committed, and a deletion has no bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from hansa.core.audit import AuditNotes
from hansa.core.backoff import Backoff
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest, RequestSigner
from hansa.core.identifiers import Entropy, is_bound_form
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.core.thread_work import SMALL_MAX_BYTES
from hansa.replication.announced.bundles import (
    BUNDLE_TYPE,
    BUNDLES_PATH,
    CONTENT_MAX_BYTES,
    BundledPart,
    address,
    packed,
)
from hansa.replication.announced.retained_bundles import RetainedBundles
from hansa.replication.registry import MemberRegistry
from hansa.store import Entity, Store
from hansa.store.tables import announced, origins
from hansa.store.tables.publications import Outgoing

OFFERED_MAX: Final = 8
IN_FLIGHT_MAX: Final = 4
"""As many batches as are in flight to the ledger (`publish_in_flight_max`)."""
TIMEOUT_S: Final = 5.0
"""Later the members have requested it."""
BACKOFF_MIN_S: Final = 1.0
ANSWER_MAX_BYTES: Final = 65_536
ALIVE_PAUSE_S: Final = 10.0
"""Between two signs of life of a member that count."""

SharedPart = Callable[[Entity], Entity | None]
"""What of an entity every member may retrieve; None: nothing."""

log = structlog.get_logger()


class PusherCounters(msgspec.Struct, frozen=True):
    """What a pusher has done since it started."""

    bundles_sent: int = 0
    bundles_failed: int = 0


class _Lane:
    """The bundles on their way to one member."""

    def __init__(self, pauses: Backoff) -> None:
        self.pauses = pauses
        self.in_flight = 0
        self.due_s = 0.0
        """When something may be sent again, by the monotonic clock."""
        self.alive_s = 0.0
        """When a sign of life counts again."""
        self.failing_since: str | None = None
        """Since when every bundle failed, as RFC 3339 says it; None: the member took the last one."""


class BundlePusher:
    """Sends bundles of own announced parts to all other members.

    Args:
        store: Has the parts.
        registry: The members.
        http: Sends to members alone.
        signer: Proves to a member who sends.
        did: This member.
        shared: What of an entity everybody may have.
        notes: For the audit log.
        clock: For pauses.
        entropy: For pauses.
        limits: `retrieval_backoff_max_s`.
        retained: Has what was pushed last.
    """

    def __init__(
        self,
        store: Store,
        registry: MemberRegistry,
        http: HttpClient,
        signer: RequestSigner,
        did: str,
        shared: SharedPart,
        notes: AuditNotes,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        retained: RetainedBundles,
    ) -> None:
        self.retained: Final = retained
        self._store = store
        self._registry = registry
        self._http = http
        self._signer = signer
        self._did = did
        self._shared = shared
        self._notes = notes
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._offered: deque[Sequence[Outgoing]] = deque(maxlen=OFFERED_MAX)
        self._added = Signal(clock)
        self._lanes: dict[str, _Lane] = {}
        self._counters = PusherCounters()

    @property
    def counters(self) -> PusherCounters:
        """What has been done since the start."""
        return self._counters

    def is_alive(self, did: str) -> None:
        """A member gave a sign of life: it gets the next bundle, however often it failed, once in a while."""
        lane, now_s = self._lanes.get(did), self._clock.monotonic()
        if lane is not None and now_s >= lane.alive_s:
            lane.alive_s = now_s + ALIVE_PAUSE_S
            lane.due_s = 0.0
            lane.failing_since = None

    def failing_since(self, did: str) -> str | None:
        """Since when a member takes no bundle, as RFC 3339 says it; None where nothing is known of that."""
        lane = self._lanes.get(did)
        return None if lane is None else lane.failing_since

    def offer(self, batch: Sequence[Outgoing]) -> None:
        """A batch is submitted: push its bytes, and retain them for who misses them. Does not wait."""
        if batch and self._registry.others(self._did):
            self._offered.append(batch)
            self._added.notify()

    async def run(self) -> None:
        """Push until cancelled. After it ended, for whatever reason, it may be called again."""
        self._lanes.clear()
        self._offered.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._added.count
                while self._offered:
                    await self._push(tasks, self._offered.popleft())
                await self._added.wait(seen)

    def _ready_members(self) -> list[Member]:
        """The members that have room for a bundle now."""
        now_s = self._clock.monotonic()
        return [
            one for one in self._registry.others(self._did) if self._has_room(self._lanes.get(one.did), now_s)
        ]

    @staticmethod
    def _has_room(lane: _Lane | None, now_s: float) -> bool:
        return lane is None or (lane.in_flight < IN_FLIGHT_MAX and lane.due_s <= now_s)

    async def _push(self, tasks: asyncio.TaskGroup, batch: Sequence[Outgoing]) -> None:
        try:
            bundle = await self._bundle(batch)
            paused = await origins.paused(self._store) if bundle is not None else ()
        except Unavailable as error:
            log.info("bundle_not_made", code=str(error.code), events=len(batch))
            return
        if bundle is None:
            return
        for member in self._ready_members():
            if member.did in paused:
                continue
            lane = self._lanes.get(member.did) or self._new_lane(member.did)
            lane.in_flight += 1
            tasks.create_task(self._send(lane, member, *bundle))

    def _new_lane(self, did: str) -> _Lane:
        pauses = Backoff(BACKOFF_MIN_S, self._limits.retrieval_backoff_max_s, self._entropy)
        return self._lanes.setdefault(did, _Lane(pauses))

    async def _bundle(self, batch: Sequence[Outgoing]) -> tuple[bytes, int] | None:
        """The bundle of a batch, and how many parts it has; None when nothing of it is to be pushed."""
        parts = await self._parts([one for one in batch if _is_shareable(one)])
        if not parts:
            return None
        is_small = sum(len(bytes(part.entity)) for part in parts) <= SMALL_MAX_BYTES
        bundle = packed(parts) if is_small else await asyncio.to_thread(packed, parts)
        if bundle is not None:
            self.retained.put(bundle, [(part.key, part.hashlink) for part in parts])
        return None if bundle is None else (bundle, len(parts))

    def committed(self, batch: Sequence[Outgoing], positions: Sequence[int]) -> None:
        """A batch is on the ledger at some positions: whoever missed its bundle can pull it."""
        self.retained.committed([(one.key, one.hashlink) for one in batch], positions)

    async def _parts(self, events: Sequence[Outgoing]) -> list[BundledPart]:
        if not events:
            return []
        entities = await self._store.entities([one.entity_id for one in events])
        retained = await announced.bodies(self._store, [one.hashlink for one in events])
        parts: list[BundledPart] = []
        room_bytes = CONTENT_MAX_BYTES // 2
        for event in events:
            entity = entities.get(event.entity_id)
            part = self._shared(entity) if entity is not None and entity.origin is None else None
            if part is None:
                continue
            body = retained.get((event.key, event.hashlink))
            if body is None and part.hashlink == event.hashlink:
                body = part.body
            if body is not None and len(body) <= room_bytes:
                room_bytes -= len(body)
                parts.append(BundledPart(event.key, event.hashlink, msgspec.Raw(body)))
        return parts

    async def _send(self, lane: _Lane, member: Member, bundle: bytes, count: int) -> None:
        url = member.endpoint + BUNDLES_PATH
        headers = {"content-type": BUNDLE_TYPE} | self._signer.headers(member.did, "POST", url, bundle)
        request = HttpRequest("POST", url, headers, bundle, TIMEOUT_S, ANSWER_MAX_BYTES)
        try:
            status: int | None = (await self._http.send(request)).status
            code = None
        except (Refused, Unavailable) as error:
            status, code = None, str(error.code)
        lane.in_flight -= 1
        assert lane.in_flight >= 0, "this request was in flight"
        sent, failed = self._counters.bundles_sent, self._counters.bundles_failed
        if status == 204:
            lane.pauses.reset()
            lane.failing_since = None
            self._notes.served(member.did, (), count)
            self._counters = PusherCounters(sent + 1, failed)
            return
        pause_s = lane.pauses.next_s()
        lane.due_s = self._clock.monotonic() + pause_s
        if status is None:  # whoever refuses a bundle is there
            lane.failing_since = lane.failing_since or rfc3339(self._clock.now())
        self._counters = PusherCounters(sent, failed + 1)
        log.info(
            "bundle_not_taken",
            member=member.did,
            bundle=address(bundle),
            code=code,
            status=status,
            pause_s=round(pause_s, 3),
        )


def _is_shareable(event: Outgoing) -> bool:
    """Whether an event has bytes, and its identifier cannot be claimed by whoever learns it now."""
    return not event.is_delete and (event.version > 1 or is_bound_form(event.entity_id))
