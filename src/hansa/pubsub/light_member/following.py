"""The loop of a light member: who is ahead, verify, write.

A *round*, every `POLL_S`: all followed members that are worth a request are asked for their newest header, at
once. The one that shows the highest is followed first, after any that gave something wrong before and has its
pause behind it: it gets a chance to show that it is right again, at the cost of one failure. From a member
that is ahead the state in parts is requested, then the header that signs it, which is verified from the
trusted one and compared with those of all others, then the batches of events. When the whole holds it is
written, and the round ends; else the next member is followed.

    newest header ─▶ state in parts ─▶ its header, verified, compared ─▶ batches ─▶ root equal ─▶ written

Nobody can hold a round up for longer than the time limits of one update; nobody is followed twice in one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import structlog

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient
from hansa.core.signal import Signal
from hansa.pubsub.genesis import read_genesis_parts
from hansa.pubsub.ledger.commitments.app_hash import Sections
from hansa.pubsub.ledger.genesis import read_app_state
from hansa.pubsub.ledger.history.segment import SEGMENT_EVENTS
from hansa.pubsub.ledger.history.worker import HistoryWorker
from hansa.pubsub.ledger.reading.parts import section_tag
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import begin_block, refusal_of
from hansa.pubsub.ledger.transactions import TransactionReader
from hansa.pubsub.ledger_bus import refused_submission
from hansa.pubsub.light.chain.blocks import LightBlock
from hansa.pubsub.light.chain.rpc_form import time_ns_of
from hansa.pubsub.light_member.beginning import EVENTS_MIN, Beginning
from hansa.pubsub.light_member.followed import FollowedMember, FollowedStatus
from hansa.pubsub.light_member.mirror import (
    NS_PER_MS,
    MirrorUpdate,
    SectionRecords,
    VerifiedState,
    check_records,
    missing_records,
    sections_of,
    tags_of,
)
from hansa.pubsub.light_member.trust import ChainTrust, TrustedBlock

POLL_S: Final = 0.5
HISTORY_POLL_S: Final = 0.02
HURRIED_POLL_S: Final = 0.1
HURRIES_S: Final = 3.0
FAILED_MAX_S: Final = 10.0
FOLLOWED_MAX: Final = 8
"""Members that are followed at once; any honest one of them is enough."""
PARTS_TRIES_MAX: Final = 16
"""Requests for one state: its records may not fit into one answer, and it may change in between."""
SIGNING_WAIT_S: Final = 5.0
"""For the block that signs a state, which comes right after it."""
SIGNING_POLL_S: Final = 0.1

T = TypeVar("T")

log = structlog.get_logger("hansa.pubsub")


class _Behind(Exception):
    """A member whose state is older than the block that is trusted; it is late, and nothing else."""


class FollowingStatus(msgspec.Struct, frozen=True):
    """How the following goes."""

    sources: tuple[FollowedStatus, ...]
    """The members that are followed."""
    problem: str | None
    """Why nothing more can be verified, whoever answers; None while it can."""
    is_catching_up: bool
    """Whether an update of many events is under way, or nothing was verified since the start yet."""
    has_answer: bool
    """Whether any of the followed members answered in the last round."""
    height: int
    """Of the newest state that was verified; a header after it has the same application hash still."""
    trusted: TrustedBlock
    """What later blocks are verified from."""


class FollowedMembers:
    """The members that are followed, as they are named now.

    Args:
        endpoints: Of them; the first `FOLLOWED_MAX` are followed.
        http: Reaches them.
        clock: For their pauses.
        chain_id: Of the league.
    """

    def __init__(
        self, endpoints: Callable[[], Sequence[str]], http: HttpClient, clock: Clock, chain_id: str
    ) -> None:
        self._endpoints = endpoints
        self._http = http
        self._clock = clock
        self.chain_id = chain_id
        """Of the league."""
        self._known: dict[str, FollowedMember] = {}

    def current(self) -> tuple[FollowedMember, ...]:
        """All of them, in the order in which they are named."""
        names = tuple(dict.fromkeys(self._endpoints()))[:FOLLOWED_MAX]
        self._known = {
            name: self._known.get(name) or FollowedMember(name, self._http, self._clock, self.chain_id)
            for name in names
        }
        return tuple(self._known.values())


class LightFollower:
    """Keeps the state in a file up to what the followed members show, verified.

    Args:
        path: The file.
        genesis: Of the league; the document.
        sources: The members that are followed.
        trust: What their headers are verified from.
        signal: Is notified of every update.
        clock: For pauses.
        history: Folder for the events before a snapshot, in segments that others put there; None: no such
            events are added.
    """

    def __init__(
        self,
        path: Path | str,
        genesis: bytes,
        sources: FollowedMembers,
        trust: ChainTrust,
        signal: Signal,
        clock: Clock,
        history: Path | None = None,
    ) -> None:
        self._path = path
        self._genesis = genesis
        self._sources = sources
        self.trust = trust
        self._signal = signal
        self._clock = clock
        self._history_folder = history
        self._history: HistoryWorker | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="light-state")
        self._state: SqliteState | None = None
        self._sections: Sections | None = None
        """Of the state in the file."""
        self._expected = 0
        """Height that was trusted when the last round began."""
        self._has_answer = self._has_caught_up = False
        self._is_filling = False
        self._looking = asyncio.Lock()
        self._reader = TransactionReader()
        self._problem: str | None = None
        self._hurries_until_s = float("-inf")
        self.rounds = 0
        """Rounds that have ended."""

    @property
    def status(self) -> FollowingStatus:
        """How it goes."""
        problem = self.trust.problem
        return FollowingStatus(
            tuple(one.status for one in self._sources.current()),
            problem.message if problem is not None else self._problem,
            self._is_filling or not (self._has_caught_up or self.rounds),
            self._has_answer,
            self._verified_height(),
            self.trust.trusted,
        )

    def _verified_height(self) -> int:
        block, sections, state = self.trust.block, self._sections, self._state
        if state is None or sections is None:
            return 0
        is_unchanged = block is not None and block.header.app_hash == sections.app_hash
        return block.height - 1 if block is not None and is_unchanged else state.head.height

    async def run(self) -> None:
        """Follow, until cancelled.

        Raises:
            Fatal: the state's file, or that of the light blocks, cannot be used.
        """
        await self.open()
        pauses = Backoff(POLL_S, FAILED_MAX_S)
        while True:
            try:
                is_well = await self.look()
            except Fatal:
                raise
            except HansaError as error:
                if self._problem != error.message:
                    log.warning("members_not_followed", code=error.code, reason=error.message)
                self._problem, is_well = error.message, False
            else:
                self._problem = None
            self.rounds += 1
            if is_well:
                pauses.reset()
            hurries = self._clock.monotonic() < self._hurries_until_s
            await self._rest(HURRIED_POLL_S if hurries else POLL_S if is_well else pauses.next_s())

    async def _rest(self, pause_s: float) -> None:
        """Wait for the next round, and add what has come of the events before a snapshot meanwhile."""
        until_s = self._clock.monotonic() + pause_s
        while self._history is not None and self._clock.monotonic() < until_s:
            async with self._looking:
                is_missing = await self._in_thread(self._history.fill_next)
            if not is_missing:
                break
            self._signal.notify()
            await self._clock.sleep(HISTORY_POLL_S)
        await self._clock.sleep(max(0.0, until_s - self._clock.monotonic()))

    def hurry(self) -> None:
        """Something of this member is about to be on the ledger: look again soon, for a while."""
        self._hurries_until_s = self._clock.monotonic() + HURRIES_S

    async def open(self) -> None:
        """Open the file, and begin the state with the genesis if there is none.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, `Code.STORE_NEWER`, `Code.DISK_FULL`, `Code.SETTINGS_INVALID`.
        """
        if self._state is None:
            await self._in_thread(self._open)
            self._signal.notify()

    async def look(self) -> bool:
        """One round; whether all that members show was verified, or is here already.

        Raises:
            HansaError: nothing can be verified now, whoever answers.
        """
        async with self._looking:
            return await self._look()

    async def _look(self) -> bool:
        problem = self.trust.problem
        if problem is not None:
            raise problem
        sources = [one for one in self._sources.current() if one.is_due]
        await self.trust.begin(sources)
        heads = await asyncio.gather(*map(self._head_of, sources))
        shown = [(one, head) for one, head in zip(sources, heads, strict=True) if head is not None]
        self._expected = self.trust.height
        self._has_answer = bool(shown)
        shown.sort(key=lambda one: (not one[0].is_distrusted, -one[1].height))
        for place, (source, head) in enumerate(shown):
            witnesses = [one for one in sources if one is not source]
            try:
                is_written = await self._follow(source, head, witnesses)
            except _Behind:
                continue
            except Fatal:
                raise
            except HansaError as error:
                problem = self.trust.problem
                if problem is not None:
                    raise problem from error
                source.note_failure(error)
                continue
            if is_written:
                source.note_holds()
            elif any(later.height > head.height for _, later in shown[place + 1 :]):
                continue  # it has nothing new, and another one shows more
            self._has_caught_up = True
            return True
        return False

    async def catch_up(self) -> None:
        """Be as far as the followed members are now, if any of them answers.

        Raises:
            HansaError: nothing can be verified now.
        """
        await self.open()
        await self.look()

    async def refusal_of(self, transaction: bytes) -> Refused | Unavailable | None:
        """What the ledger's rules make of a transaction, by the state that was verified here.

        So no followed member is believed about what it refuses.
        """
        if self._is_filling:  # the state in memory is ahead of what was verified
            return Unavailable(Code.OVERLOADED, "The ledger here is catching up with the other members.")
        state = self._opened()
        now_ms = epoch_ms(self._clock)

        def refusal() -> RuleBroken | None:
            head = state.head
            overlay = begin_block(state, head.height + 1, max(now_ms, head.time_ms), (), self._reader)
            return refusal_of(overlay, transaction, self._reader)

        broken = await self._in_thread(refusal)
        return None if broken is None else refused_submission(broken.code, broken.message, broken.wait_ms)

    @property
    def upgrade_message(self) -> str | None:
        """Why nothing can be followed until this release is replaced; None while it can."""
        statuses = [one.status for one in self._sources.current()]
        answering = [one for one in statuses if one.behavior not in {"silent", "unknown"}]
        if not answering or any(one.behavior != "upgraded" for one in answering):
            return None
        return answering[0].reason

    def submittable(self) -> tuple[FollowedMember, ...]:
        """The followed members through which a transaction may go now, those that are well first."""
        sources = [one for one in self._sources.current() if one.takes_submissions]
        return tuple(sorted(sources, key=lambda one: one.status.behavior != "current"))

    async def close(self) -> None:
        """Close the file."""
        if self._state is not None:
            state, self._state = self._state, None
            await self._in_thread(state.close)
        self._thread.shutdown(wait=True)

    # -- one member ------------------------------------------------------------------------------------------

    async def _head_of(self, source: FollowedMember) -> LightBlock | None:
        """The newest header that a member shows; None when it shows none."""
        try:
            head = await source.light_block()
        except HansaError as error:
            source.note_failure(error)
            return None
        source.note_height(head.height, self._expected)
        return head

    async def _follow(
        self, source: FollowedMember, head: LightBlock, witnesses: Sequence[FollowedMember]
    ) -> bool:
        """Verify what a member shows, and write it; whether there was something to write.

        Raises:
            _Behind: it is older than what is trusted.
            Refused: `Code.PROOF_INVALID`, `Code.NOT_FOUND`, `Code.UPGRADE_NEEDED`, `Code.LEDGER_FORKED`.
            Unavailable: it does not answer, or not in time.
            Fatal: a file cannot be written.
        """
        known = self._known_sections()
        if head.header.app_hash == known.app_hash:
            if head.height > self.trust.height:
                await self.trust.advance(source, witnesses, head.height)
            else:
                self._check_same(head)
            return False
        if head.height < self.trust.height:
            raise _Behind
        target = await self._target_of(source, witnesses, known)
        if target.sections.app_hash == known.app_hash:
            return False
        is_new = self._opened().head.position == 0 and target.events >= EVENTS_MIN
        if not (is_new and await self._begin(source, witnesses, target)):
            await self._write(source, target)
        return True

    async def _target_of(
        self, source: FollowedMember, witnesses: Sequence[FollowedMember], known: Sections
    ) -> VerifiedState:
        """The state that a member shows, with the header that signs it; verified, but for its events."""
        sections, height, records = await self._parts_of(source, known)
        block = await self._signing(source, witnesses, sections, height)
        for name, one in records.items():
            check_records(sections, name, one)
        return VerifiedState(sections, records, block)

    async def _begin(
        self, source: FollowedMember, witnesses: Sequence[FollowedMember], signed: VerifiedState
    ) -> bool:
        """Write the state that a member shows, from a snapshot of it on; False when it has none of use."""
        beginning = Beginning(self._opened(), self._sources.chain_id, self._in_thread)
        self._is_filling = True
        try:
            known = await beginning.restore(source, signed.sections, signed.height, signed.events)
            if known is None:
                return False
            target = await self._target_of(source, witnesses, known)
            await self._write(source, target, is_begun=True)
        except BaseException:
            await asyncio.shield(self._in_thread(beginning.abandon))
            raise
        finally:
            self._is_filling = False
        log.info("snapshot_restored", endpoint=source.endpoint, height=target.height, events=target.events)
        return True

    def _check_same(self, head: LightBlock) -> None:
        """Whether a header that is not newer than the trusted one says the same at its height."""
        trusted = self.trust.block
        if trusted is None or head.height < trusted.height:
            raise _Behind
        if head.header.hash != trusted.header.hash:
            raise Refused(Code.PROOF_INVALID, f"Its block {head.height:,} is not the one that was verified.")

    async def _parts_of(
        self, source: FollowedMember, known: Sections
    ) -> tuple[Sections, int, SectionRecords]:
        """A member's state: its sections, its height, and the records of sections that differ from ours."""
        fetched: dict[tuple[str, bytes], dict[str, bytes]] = {}
        for _ in range(PARTS_TRIES_MAX):
            further = "".join(section_tag(name, content) for name, content in fetched)
            parts = await source.parts(tags_of(known) + further)
            sections = sections_of(parts)
            for one in parts.sections:
                if one.records is not None:
                    fetched[one.name, one.content] = one.records
            records = {
                name: fetched[name, sections.content(name)]
                for name in sections.names
                if (name, sections.content(name)) in fetched
            }
            if not missing_records(sections, known, records):
                return sections, parts.height, records
            fetched = {(name, sections.content(name)): one for name, one in records.items()}
        raise Refused(Code.NOT_FOUND, "It does not give the records that belong to its state.")

    async def _signing(
        self, source: FollowedMember, witnesses: Sequence[FollowedMember], sections: Sections, height: int
    ) -> LightBlock:
        """The header that signs a member's state, verified and compared."""
        until_s = self._clock.monotonic() + SIGNING_WAIT_S
        head = await source.light_block()
        while head.header.app_hash != sections.app_hash and head.height <= height:
            if self._clock.monotonic() >= until_s:
                raise Refused(Code.NOT_FOUND, "It does not give the block that signs its state.")
            await self._clock.sleep(SIGNING_POLL_S)
            head = await source.light_block()
        target = head.height if head.header.app_hash == sections.app_hash else height + 1
        if target < self.trust.height:
            raise _Behind
        block = await self.trust.advance(source, witnesses, target)
        if block.header.app_hash != sections.app_hash:
            raise Refused(Code.PROOF_INVALID, f"Its state is not the one that block {target:,} signs.")
        return block

    async def _write(self, source: FollowedMember, target: VerifiedState, *, is_begun: bool = False) -> None:
        """Fetch the events that are missing here, compare the whole, and write it."""
        state = self._opened()
        update = await self._in_thread(lambda: MirrorUpdate(state, target, is_begun=is_begun))
        self._is_filling = is_begun or target.events - update.position > SEGMENT_EVENTS
        try:
            while not update.is_whole:
                batches = await source.batches_after(update.position)
                await self._in_thread(lambda batches=batches: update.add(batches))  # type: ignore[misc]
            await self._in_thread(update.finish)
        except BaseException:
            await asyncio.shield(self._in_thread(update.abandon))
            raise
        finally:
            self._is_filling = False
        self._sections = target.sections
        self._signal.notify()

    # -- the file --------------------------------------------------------------------------------------------

    def _open(self) -> None:
        state = SqliteState(self._path)
        try:
            if state.is_empty:
                parts = read_genesis_parts(self._genesis)
                time_ms = time_ns_of(parts.genesis_time) // NS_PER_MS
                state.write_genesis(read_app_state(parts.app_state), time_ms, parts.powers)
        except BaseException:
            state.close()
            raise
        self._state, self._sections = state, state.trees.sections
        if self._history_folder is not None:
            self._history = HistoryWorker(state, self._history_folder, self._clock, log)

    def _opened(self) -> SqliteState:
        assert self._state is not None, "it is opened before anything is written"
        return self._state

    def _known_sections(self) -> Sections:
        assert self._sections is not None, "it is opened before anything is followed"
        return self._sections

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
