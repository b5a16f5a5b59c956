"""Decides whether the validator signs or observes, at every start of its engine, and ends the observing.

    signing    ── the memory of what was signed is missing or damaged, or the folder is marked ──▶ observing
    signing    ── the ledger has a signature of its key that its engine did not make ──▶ observing
    observing  ── the ledger shows that nobody signs with its key ──▶ signing
    observing  ── somebody signs with its key ──▶ observing until the operator decides

What it decides takes effect between two runs of the engine alone, and the order on the disk is: a memory that
is ahead of everything that may have been signed, then the mark removed, then the configuration with the real
key. A crash in between leaves an engine that observes.

An engine with the same node key elsewhere keeps ours from finding peers. Nothing is seen of it on the ledger
then; but other members report an engine of ours among their peers that ours is not connected to. While more
than a third of them do, nothing is signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock, milliseconds_of, rfc3339
from hansa.core.errors import Fatal, HansaError
from hansa.core.files import is_missing, read_file
from hansa.core.http import HttpClient, HttpRequest
from hansa.core.identifiers import Entropy
from hansa.core.instants import moment
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node.folder import LEDGER, VALIDATOR_KEY
from hansa.node.validator.absence import Absence
from hansa.node.validator.observing import (
    Observing,
    Reason,
    Sighting,
    Standstill,
    read_observing,
    remove_observing,
    write_observing,
)
from hansa.node.validator.standstill import StandstillWatch
from hansa.pubsub.engine import (
    PRECOMMIT,
    SIGNING_STATE,
    UNSIGNED,
    BlockSigners,
    EngineProgress,
    SigningState,
    parse_signing_state,
    read_key,
    read_last_signature,
    read_signing_state,
    write_signing_state,
)
from hansa.pubsub.ledger_records import LedgerStatus

POLL_S: Final = 1.0
BLOCKS_PER_POLL_MAX: Final = 200
AHEAD_MAX_BLOCKS: Final = 50
"""How far the others can be ahead of an engine that says to be up to date; more is a lie, and only delays."""
ELSEWHERE_EVERY_S: Final = 10.0
STATUS_TIMEOUT_S: Final = 3.0
STATUS_SIZE_MAX_BYTES: Final = 1_048_576
MEMBERS_QUERIED_MAX: Final = 64


class ValidatorStatus(msgspec.Struct, frozen=True):
    """What the validator does."""

    address: str
    """What blocks call it."""
    is_observing: bool
    """Whether it follows the ledger without signing."""
    summary: str
    """In words."""
    reason: Reason | None = None
    """Why it observes."""
    since: str | None = None
    """RFC 3339."""
    blocks: int = 0
    """Blocks in a row in which nobody signed with its key."""
    blocks_needed: int = 0
    """How many there have to be until it signs again; 0 before counting has begun."""
    double: Sighting | None = None
    """When somebody else was seen signing with its key."""
    elsewhere: tuple[str, ...] = ()
    """Members that are connected to an engine with our node key that is not ours."""
    awaited_at: int | None = None
    """Height of the block that the league does not decide without it; None when it waits for no vote."""


class ObservedLedger(Protocol):
    """What the guard reads of the ledger and of the engine."""

    async def ledger(self) -> LedgerStatus:
        """Whether the engine is up to date, and who its peers are."""

    async def progress(self) -> EngineProgress:
        """How far it and its peers are."""

    async def signers_of(self, height: int | None = None) -> BlockSigners:
        """Who proposed a block, the last one by default, and who signed its commit."""

    async def votes_under_way(self, address: str) -> tuple[SigningState, ...]:
        """What a validator signed for the block that is being decided."""


class _ReportedPeers(msgspec.Struct, frozen=True):
    peer_names: tuple[str, ...] = ()


class ValidatorGuard:
    """Guards the validator of one folder.

    Args:
        folder: The marketplace's.
        others: The other members, as they are known now.
        name: Of this marketplace.
        clock: For pauses and times.
        entropy: For the number of blocks beyond what is necessary.
        limits: `observe_blocks_min`, `observe_min_s`.
        logger: Gets what it decides.
    """

    def __init__(
        self,
        folder: Path,
        others: Callable[[], Sequence[Member]],
        name: str,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        logger: FilteringBoundLogger,
    ) -> None:
        self._folder = folder
        self._others = others
        self._name = name
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._logger = logger
        self._address = read_key(folder / VALIDATOR_KEY).address
        self._observing: Observing | None = None
        self._absence: Absence | None = None
        self._counting_since_s = 0.0
        self._elsewhere: tuple[str, ...] = ()
        self._elsewhere_at_s = float("-inf")
        self._standstills = StandstillWatch(clock)
        self._standstill: Standstill | None = None
        """At which the league is now."""
        self._proven_at: int | None = None
        """Height up to which nobody signs with the key any more, while the engine is being restarted."""

    # -- at every start of the engine ------------------------------------------------------------------------

    def decide(self) -> bool:
        """Whether the engine that is about to start has to observe. No engine may be running.

        The key in the folder may be another one than before (`hansa.node.validator.next_keys`).

        Raises:
            Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`, when the folder cannot be read or written.
        """
        self._address = read_key(self._folder / VALIDATOR_KEY).address
        observing = read_observing(self._folder)
        if observing is None:
            observing = self._after_loss()
        elif self._proven_at is not None and observing.double is None:
            sign_after(self._folder, self._proven_at, observing)
            self._logger.warning("validator_signs_again", address=self._address, after=self._proven_at)
            observing = None
        if observing is not None and observing != self._observing:
            self._logger.warning(
                "validator_observes", reason=observing.reason, since=observing.since, address=self._address
            )
        self._proven_at = self._absence = self._standstill = None
        self._observing = observing
        return observing is not None

    def _after_loss(self) -> Observing | None:
        """Mark the folder when it does not say what the validator signed."""
        path = self._folder / LEDGER / SIGNING_STATE
        if not is_missing(path) and parse_signing_state(read_file(path)) is not None:
            return None
        observing = Observing(rfc3339(self._clock.now()), Reason.MEMORY_LOST)
        write_observing(self._folder, observing)
        self._logger.error("signing_memory_lost", address=self._address)
        return observing

    # -- while it runs ---------------------------------------------------------------------------------------

    async def run(self, ledger: ObservedLedger, http: HttpClient, restart: Callable[[], None]) -> None:
        """Observe for as long as the validator must not sign, else check what was signed; until cancelled.

        Args:
            ledger: This member's.
            http: To the other members.
            restart: Has the engine started again.
        """
        while True:
            await self._clock.sleep(POLL_S)
            if self._proven_at is not None:
                continue  # the engine is being restarted
            try:
                if self._observing is None:
                    is_over = await self._is_signed_by_another(ledger)
                elif self._observing.double is None:
                    self._proven_at = await self._observe(ledger, http)
                    is_over = self._proven_at is not None
                else:
                    is_over = False
            except HansaError:
                continue  # the engine, or the ledger, does not answer yet
            if is_over:
                restart()

    async def _is_signed_by_another(self, ledger: ObservedLedger) -> bool:
        """Whether the last block has a signature of the key that our engine did not make.

        The folder is marked then. Our engine writes what it signs into its memory before it signs, and signs
        one height, round and step once, whatever happens. So two kinds of votes are not its own: one beyond
        its memory, and one that differs from the last that it made. Two engines with one key vote alike, but
        not at the same time, which is part of what is signed. This machine's clock does not matter.
        """
        block = await ledger.signers_of()
        vote = block.vote_of(self._address)
        if vote is None:
            return False
        signed, signature = read_last_signature(self._folder / LEDGER)
        is_last = (signed.height, signed.round, signed.step) == (block.height, block.round, PRECOMMIT)
        is_double = is_last and signature not in {"", vote.signature}
        if not is_double and signed.height >= block.height:
            return False
        self._logger.error(
            "signed_by_another",
            address=self._address,
            height=block.height,
            remembered=signed.height,
            is_double=is_double,
        )
        now = rfc3339(self._clock.now())
        self._observing = Observing(
            now,
            Reason.MEMORY_BEHIND,
            max(signed, SigningState(block.height, block.round, PRECOMMIT)),
            double=Sighting(block.height, now) if is_double else None,
        )
        write_observing(self._folder, self._observing)
        return True

    async def _observe(self, ledger: ObservedLedger, http: HttpClient) -> int | None:
        """Look at what is new. The height from which on the validator may sign, when that is proven."""
        status, progress = await asyncio.gather(ledger.ledger(), ledger.progress())
        await self._look_elsewhere(http, frozenset(status.peer_ids))
        if status.catching_up or not status.peers:
            self._absence = self._standstill = None  # what happens meanwhile is not seen
            return None
        if self._absence is None:
            ahead = min(_credible_height(progress.peer_heights), progress.height + AHEAD_MAX_BLOCKS)
            height = max(progress.height, ahead)
            blocks_min = self._limits.observe_blocks_min
            more = int.from_bytes(self._entropy(4)) % (blocks_min + 1)
            marked_ms = _time_ms(self._observing.since) if self._observing is not None else 0
            self._absence = Absence(self._address, height, blocks_min, more, marked_ms)
            self._counting_since_s = self._clock.monotonic()
            self._note_up_to_date(height)
            return None
        votes = await ledger.votes_under_way(self._address)
        self._note_votes(self._absence, votes)
        self._note_standstill(status, progress, votes)
        await self._count(self._absence, ledger, progress.height)
        if self._absence.seen_at is not None:
            self._report_double(self._absence.seen_at)
        elif self._absence.is_proven and self._is_long_enough():
            self._elsewhere_at_s = float("-inf")
            await self._look_elsewhere(http, frozenset(status.peer_ids))
            if not self._runs_elsewhere():
                return progress.height
        return None

    def _is_long_enough(self) -> bool:
        return self._clock.monotonic() - self._counting_since_s >= self._limits.observe_min_s

    async def _count(self, absence: Absence, ledger: ObservedLedger, height: int) -> None:
        """Count the blocks that are new, after the last one again: the next block says who signed it."""
        for each in range(absence.height, min(height, absence.height + BLOCKS_PER_POLL_MAX) + 1):
            absence.add(await ledger.signers_of(each))
            if absence.seen_at is not None:
                return

    def _note_up_to_date(self, height: int) -> None:
        assert self._observing is not None, "only who observes counts"
        if self._observing.caught_up_at is None:
            self._observing = msgspec.structs.replace(self._observing, caught_up_at=height)
            write_observing(self._folder, self._observing)

    def _note_votes(self, absence: Absence, votes: Sequence[SigningState]) -> None:
        """Remember what others have of this validator for the block that is being decided.

        Where the league waits for this validator that may be what it signed before it was restored. The
        others still have it, and the engine must not contradict it.
        """
        assert self._observing is not None, "only who observes looks at votes under way"
        for vote in votes:
            absence.note_vote(vote.height)
        latest = max(votes, default=UNSIGNED)
        standstill = self._observing.standstill
        if standstill is not None and latest > standstill.signed:
            self._observing = msgspec.structs.replace(self._observing, standstill=None)
            write_observing(self._folder, self._observing)
        if latest > (self._observing.signed or UNSIGNED):
            self._logger.warning(
                "votes_of_validator_seen", height=latest.height, round=latest.round, step=latest.step
            )
            self._observing = msgspec.structs.replace(self._observing, signed=latest)
            write_observing(self._folder, self._observing)

    def _note_standstill(
        self, status: LedgerStatus, progress: EngineProgress, votes: Sequence[SigningState]
    ) -> None:
        """Remember what others have of this validator where the league waits for it (`hansa engine sign`)."""
        assert self._observing is not None, "only who observes is waited for"
        own_power = status.powers.get(self._address.lower(), 0)
        before, self._standstill = (
            self._standstill,
            self._standstills.look(progress, frozenset(status.peer_ids), self._others(), own_power, votes),
        )
        if self._standstill is None or self._standstill == self._observing.standstill:
            return
        self._observing = msgspec.structs.replace(self._observing, standstill=self._standstill)
        write_observing(self._folder, self._observing)
        if before is None:
            self._logger.warning("validator_awaited", **msgspec.to_builtins(self._standstill))

    def _report_double(self, height: int) -> None:
        assert self._observing is not None, "only who observes sees a double"
        self._logger.error("validator_double_signs", address=self._address, height=height)
        sighting = Sighting(height, rfc3339(self._clock.now()))
        self._observing = msgspec.structs.replace(self._observing, double=sighting)
        write_observing(self._folder, self._observing)

    # -- engines elsewhere -----------------------------------------------------------------------------------

    async def _look_elsewhere(self, http: HttpClient, connected: frozenset[str]) -> None:
        """Ask the other members whether they are connected to an engine of ours that is not this one."""
        now_s = self._clock.monotonic()
        if now_s - self._elsewhere_at_s < ELSEWHERE_EVERY_S:
            return
        self._elsewhere_at_s = now_s
        unconnected = [member for member in self._others() if connected.isdisjoint(member.node_ids)]
        queries: list[Awaitable[bool]] = [
            self._has_us_as_peer(http, member) for member in unconnected[:MEMBERS_QUERIED_MAX]
        ]
        answers = await asyncio.gather(*queries)
        elsewhere = tuple(
            member.name for member, is_peer in zip(unconnected, answers, strict=False) if is_peer
        )
        if elsewhere and elsewhere != self._elsewhere:
            self._logger.error("engine_runs_elsewhere", reported_by=elsewhere, address=self._address)
        self._elsewhere = elsewhere

    async def _has_us_as_peer(self, http: HttpClient, member: Member) -> bool:
        request = HttpRequest(
            "GET",
            f"{member.endpoint}/league/v1/status",
            timeout_s=STATUS_TIMEOUT_S,
            answer_size_max_bytes=STATUS_SIZE_MAX_BYTES,
        )
        try:
            answer = await http.send(request)
            report = msgspec.json.decode(answer.body, type=_ReportedPeers)
        except (HansaError, *UNREADABLE):
            return False
        return self._name in report.peer_names

    def _runs_elsewhere(self) -> bool:
        """Whether so many members say so that one of them is honest."""
        return 3 * len(self._elsewhere) > len(self._others())

    # -- for status ------------------------------------------------------------------------------------------

    @property
    def status(self) -> ValidatorStatus:
        """What the validator does now."""
        observing, absence = self._observing, self._absence
        if observing is None:
            return ValidatorStatus(self._address, is_observing=False, summary="signs")
        return ValidatorStatus(
            self._address,
            is_observing=True,
            summary=self._summary(observing, absence),
            reason=observing.reason,
            since=observing.since,
            blocks=absence.blocks if absence else 0,
            blocks_needed=absence.blocks_needed if absence else 0,
            double=observing.double,
            elsewhere=self._elsewhere,
            awaited_at=self._standstill.height if self._standstill is not None else None,
        )

    def _summary(self, observing: Observing, absence: Absence | None) -> str:
        begin = f"observes and signs nothing ({observing.reason} {observing.since}): "
        if observing.double is not None:
            return (
                f"{begin}ANOTHER ENGINE SIGNS WITH ITS KEY, seen at height {observing.double.height}. Stop one of "
                "them for good; docs/operators/recover.md says how"
            )
        if self._elsewhere:
            return (
                f"{begin}ANOTHER ENGINE WITH ITS NODE KEY is connected to {', '.join(self._elsewhere)}. Stop one "
                "of them for good; docs/operators/recover.md says how"
            )
        if self._standstill is not None:
            return f"{begin}{_awaited(self._standstill)}"
        if absence is None:
            return f"{begin}it is not up to date with the other members yet"
        return f"{begin}nobody signed with its key in {absence.blocks} blocks of {absence.blocks_needed}"


def _awaited(standstill: Standstill) -> str:
    begin = f"THE LEAGUE WAITS FOR IT and makes no block {standstill.height}. "
    if standstill.away:
        begin += f"Start {', '.join(standstill.away)}, and it goes on without. Otherwise: "
    return f"{begin}when no other copy of it exists, stop it, `hansa engine sign`, and start it"


def _time_ms(since: str) -> int:
    """A time of a mark, milliseconds since 1970; 0 when the mark does not say it."""
    at = moment(since)
    return 0 if at is None else milliseconds_of(at)


def _credible_height(heights: Sequence[int]) -> int:
    """The height that more than a third of the peers claim to have reached; a few liars do not change it."""
    return sorted(heights, reverse=True)[len(heights) // 3] if heights else 0


def sign_after(folder: Path, height: int, observing: Observing, *, without_away: bool = False) -> None:
    """Have the validator of a folder sign from after `height` on; its engine does not run.

    What the mark remembers of the very round that is being decided counts for as much as others have of it,
    when all of them were seen (`hansa.node.validator.standstill`).

    Args:
        folder: The marketplace's.
        height: Of the ledger's last block.
        observing: Its mark.
        without_away: Whether validators that were away count as such that have no vote of this one.

    Raises:
        Fatal: `Code.SETTINGS_INVALID` or `Code.DISK_FULL`.
    """
    try:
        present = read_signing_state(folder / LEDGER)
    except Fatal:
        present = UNSIGNED
    signed = observing.signed or UNSIGNED
    standstill = observing.standstill_after(height)
    if standstill is not None and (without_away or not standstill.away):
        signed = standstill.signed
    state = max(SigningState(height + 1), signed, present)
    write_signing_state(folder / LEDGER, state)
    remove_observing(folder)
