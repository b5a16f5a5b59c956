"""What the league has of own entities (`hansa.portal.providers.offers.elsewhere.sights.LeagueSights`).

Each member is asked what it has, all at once. What was answered, or not, holds for `ANSWERED_S`, so that a
page that is loaded again asks nobody again; and no more than `ASKING_MAX` questions are under way.

Of what a member says nothing is shown in its own words: codes are among ours, times are times. One that
claims a version that was never announced says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.business.visibility import PublicParts
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.core.instants import instant
from hansa.portal.providers.offers.elsewhere.sights import (
    LedgerVersion,
    MemberSight,
    SightState,
    VersionHistory,
)
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter
from hansa.replication.sources.peers import KEYS_MAX, FollowedEntity, FollowerAnswer, PeerView
from hansa.store import Store
from hansa.store.tables import announced, audit, publications
from hansa.store.tables.publications import Publication

ANSWERED_S: Final = 10.0
ANSWERS_MAX: Final = 256
ASKING_MAX: Final = 8
VERSIONS_MAX: Final = 50
EVENTS_AT_ONCE: Final = 100
EVENT_PAGES_MAX: Final = 20
SERVED_RECORDS_MAX: Final = 500
"""Of the audit log, the newest, in which is looked for what a silent member got last."""
_CODES: Final = frozenset(map(str, Code))


class _Answered(msgspec.Struct, frozen=True):
    answers: tuple[FollowerAnswer, ...]
    until_s: float
    """By the monotonic clock."""


class _ServedRecord(msgspec.Struct, frozen=True):
    """What is needed of a record of the kind `served`."""

    member: str = ""
    positions: tuple[tuple[int, int], ...] = ()


class ReportedSights:
    """What other members and the ledger say.

    Args:
        store: Has what was published.
        peers: Asks the other members.
        bus: The ledger, as strangers read it.
        parts: Which part of an entity is published.
        did: Of this marketplace.
        clock: For how long an answer holds.
    """

    def __init__(
        self, store: Store, peers: PeerView, bus: BusReads, parts: PublicParts, did: str, clock: Clock
    ) -> None:
        self._store = store
        self._peers = peers
        self._bus = bus
        self._parts = parts
        self._did = did
        self._clock = clock
        self._asking = 0
        self.cache: Final[Cache[tuple[str, ...], _Answered]] = Cache("follower_answers", ANSWERS_MAX)

    async def holders(self, entity_ids: Sequence[str], wait_s: float) -> dict[str, tuple[MemberSight, ...]]:
        """See `LeagueSights`."""
        rows = await publications.states(self._store, entity_ids[:KEYS_MAX])
        published = {each: row for each, row in rows.items() if row.version and not row.is_withdrawn}
        if not published:
            return {}
        answers = await self._answers(tuple(sorted(row.key for row in published.values())), wait_s)
        silent = {one.member.did for one in answers if one.progress is None}
        served = await self._served(silent, published) if silent else {}
        return {
            each: tuple(
                _sight(one, row, served.get((one.member.did, row.last_position or 0), "")) for one in answers
            )
            for each, row in published.items()
        }

    async def history(self, entity_id: str) -> tuple[VersionHistory, dict[int, bytes]]:
        """See `LeagueSights`."""
        row = (await publications.states(self._store, (entity_id,))).get(entity_id)
        if row is None or not row.first_position:
            return VersionHistory(), {}
        try:
            events, is_cut = await self._events(row)
        except HansaError:
            return VersionHistory(is_ledger_silent=True), {}
        here = await self._contents(entity_id, row, events)
        events.reverse()
        versions = tuple(_version(one, has_content=one.event.hashlink in here) for one in events)
        contents = {
            one.event.entity.version: here[one.event.hashlink] for one in events if one.event.hashlink in here
        }
        return VersionHistory(versions, is_cut=is_cut), contents

    async def _answers(self, keys: tuple[str, ...], wait_s: float) -> tuple[FollowerAnswer, ...]:
        now_s = self._clock.monotonic()
        known = self.cache.get(keys)
        if known is not None and known.until_s > now_s:
            return known.answers
        if self._asking >= ASKING_MAX:
            raise Unavailable(Code.OVERLOADED, "Too many pages ask the other marketplaces now.")
        self._asking += 1
        try:
            answers = await self._peers.followers(keys, wait_s)
        finally:
            self._asking -= 1
        self.cache.put(keys, _Answered(answers, self._clock.monotonic() + ANSWERED_S))
        return answers

    async def _served(
        self, members: set[str], published: dict[str, Publication]
    ) -> dict[tuple[str, int], str]:
        """When some members last got the newest versions at their request, by member and position."""
        positions = [row.last_position for row in published.values() if row.last_position is not None]
        newest = await audit.head(self._store)
        records = await audit.page(self._store, max(0, newest.seq - SERVED_RECORDS_MAX), SERVED_RECORDS_MAX)
        served: dict[tuple[str, int], str] = {}
        for record in records:
            if record.kind != "served":
                continue
            said = msgspec.json.decode(record.content, type=_ServedRecord)
            if said.member in members:
                got = [each for each in positions if any(a <= each <= b for a, b in said.positions)]
                served |= {(said.member, each): record.time for each in got}
        return served

    async def _events(self, row: Publication) -> tuple[list[CommittedEvent], bool]:
        """The newest events about an entity, the oldest of them first; and whether there are more.

        Raises:
            Unavailable: The ledger does not answer.
        """
        only = EventFilter(keys=(row.key,), issuers=(self._did,))
        after, result, is_cut = (row.first_position or 1) - 1, list[CommittedEvent](), False
        for _ in range(EVENT_PAGES_MAX):
            page = await self._bus.search(after, only, EVENTS_AT_ONCE)
            result += page.events
            is_cut |= len(result) > VERSIONS_MAX
            result = result[-VERSIONS_MAX:]
            if page.scanned_to >= page.last_position or page.scanned_to <= after:
                return result, is_cut
            after = page.scanned_to
        return result, is_cut

    async def _contents(
        self, entity_id: str, row: Publication, events: Sequence[CommittedEvent]
    ) -> dict[str, bytes]:
        """Bytes of those versions that are still here, by hashlink."""
        links = tuple(dict.fromkeys(one.event.hashlink for one in events))
        retained = await announced.bodies(self._store, links) if links else {}
        here = {link: body for (key, link), body in retained.items() if key == row.key}
        entity = await self._store.entity(entity_id)
        if entity is not None and entity.origin is None:
            part = self._parts.public_part(entity)
            if part.hashlink in links:
                here[part.hashlink] = part.body
        return here


def _sight(answer: FollowerAnswer, row: Publication, served: str) -> MemberSight:
    """What a member says that it has of one entity."""
    member, progress = answer.member, answer.progress
    named = (member.did, member.name, member.endpoint)
    if progress is None:
        is_earlier = answer.problem == Code.NOT_IMPLEMENTED
        return MemberSight(
            *named, "unsaid" if is_earlier else "silent", code=answer.problem or "", served=served
        )
    behind = max(0, (row.last_position or 0) - progress.position)
    has = next((one for one in progress.entities if one.key == row.key), None)
    if has is None:
        return MemberSight(*named, "behind" if behind else "unsaid", events_behind=behind)
    if not 0 <= has.replica_version <= row.version:
        return MemberSight(*named, "unsaid")
    return MemberSight(
        *named,
        _state(has, row.version, behind),
        has.replica_version,
        instant(has.stored_since or "") or "",
        has.problem if has.problem in _CODES and has.problem is not None else "",
        behind,
    )


def _state(has: FollowedEntity, version: int, behind: int) -> SightState:
    if has.state == "stored" and has.replica_version >= version:
        return "current"
    if has.replica_version:
        return "older"
    if behind and has.version < version:
        return "behind"
    match has.state:
        case "skipped":
            return "kept-out"
        case "rejected":
            return "invalid"
        case "deleted":
            return "gone"
        case _:
            return "waiting"


def _version(committed: CommittedEvent, *, has_content: bool) -> LedgerVersion:
    event = committed.event
    return LedgerVersion(
        version=event.entity.version,
        event=event.type,
        position=committed.position,
        height=committed.height,
        time=committed.time,
        status=event.metadata.lifecycleStatus or "",
        has_content=has_content,
    )
