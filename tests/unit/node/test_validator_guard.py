"""When a validator signs: unit tests of counting blocks and of the guard, with a ledger of our own making."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.node.folder import LEDGER, OBSERVING, VALIDATOR_KEY, init_member
from hansa.node.validator.absence import UNDER_WAY_MAX, Absence
from hansa.node.validator.guard import ValidatorGuard
from hansa.node.validator.observing import (
    Observing,
    Reason,
    Sighting,
    read_observing,
    write_observing,
)
from hansa.pubsub.engine import (
    SIGNING_STATE,
    BlockSigners,
    CommitVote,
    EngineProgress,
    SigningState,
    read_key,
    read_signing_state,
    write_signing_state,
)
from hansa.pubsub.ledger_records import LedgerStatus

OURS, OTHERS = "A" * 40, ("B" * 40, "C" * 40, "D" * 40)
LIMITS = Limits(observe_blocks_min=5, observe_min_s=2.0)
MARKED_MS = 1_767_225_600_000
"""2026-01-01, when the folder of these tests was restored."""


# -- counting --------------------------------------------------------------------------------------------------


def block(height: int, *, is_signed: bool = False, is_proposed: bool = False) -> BlockSigners:
    return signers_of(height, (*OTHERS, OURS) if is_signed else OTHERS, OURS if is_proposed else OTHERS[0])


def signers_of(
    height: int, signers: Sequence[str], proposer: str = OTHERS[0], time_ms: int | None = None
) -> BlockSigners:
    votes = tuple(CommitVote(address, "c2ln") for address in signers)
    return BlockSigners(
        height, 0, proposer, votes, 4, MARKED_MS + 1000 * height if time_ms is None else time_ms
    )


def test_three_turns_of_every_validator_without_a_signature_are_proof() -> None:
    absence = Absence(OURS, 100, 5, 2)
    for height in range(101, 114):
        absence.add(block(height))
        assert not absence.is_proven
    absence.add(block(114))
    assert (absence.blocks, absence.blocks_needed, absence.is_proven) == (14, 14, True)


def test_what_was_under_way_when_the_original_stopped_only_delays() -> None:
    absence = Absence(OURS, 100, 5, 0)
    for height in range(101, 101 + UNDER_WAY_MAX):
        absence.add(block(height, is_signed=True))
    assert absence.seen_at is None
    assert absence.blocks == 0


@pytest.mark.parametrize("part", [{"is_signed": True}, {"is_proposed": True}], ids=str)
def test_a_later_part_in_a_block_shows_a_double_for_good(part: dict[str, bool]) -> None:
    absence = Absence(OURS, 100, 5, 0)
    for height in range(101, 110):
        absence.add(block(height))
    absence.add(block(110, **part))
    assert absence.seen_at == 110
    for height in range(111, 200):
        absence.add(block(height))
    assert not absence.is_proven


@pytest.mark.parametrize("part", [{"is_signed": True}, {"is_vote": True}], ids=str)
def test_what_it_signed_before_it_was_restored_only_delays(part: dict[str, bool]) -> None:
    """An engine that begins with a snapshot may count before its peers have said how far they are."""
    absence = Absence(OURS, 100, 5, 0, MARKED_MS)
    for height in range(101, 121):
        is_signed = part.get("is_signed", False)
        made_ms = MARKED_MS - 1000 * (121 - height)
        absence.add(signers_of(height, (*OTHERS, OURS) if is_signed else OTHERS, time_ms=made_ms))
        if "is_vote" in part:
            absence.note_vote(height + 1)
        assert absence.seen_at is None
        assert not absence.is_proven
    for height in range(121, 150):
        absence.add(signers_of(height, OTHERS, time_ms=MARKED_MS + 1000 * (height - 100)))
    assert absence.is_proven


def test_what_is_signed_after_the_restore_shows_a_double_however_far_the_others_are() -> None:
    absence = Absence(OURS, 100, 5, 0, MARKED_MS)
    for height in range(101, 150):
        absence.add(signers_of(height, (*OTHERS, OURS), time_ms=MARKED_MS + 1000 * (height - 100)))
        assert not absence.is_proven
        assert (absence.seen_at is not None) is (height > 110)


def test_the_last_block_counts_as_others_have_it_too() -> None:
    absence = Absence(OURS, 100, 5, 0)
    for height in range(101, 105):
        absence.add(block(height))
    absence.add(block(104, is_signed=True))
    assert absence.seen_at == 104


@given(signed=st.sets(st.integers(1, 60)), blocks_min=st.integers(3, 20), more=st.integers(0, 20))
def test_it_is_never_proven_while_a_signature_is_within_the_blocks_that_are_needed(
    signed: set[int], blocks_min: int, more: int
) -> None:
    absence = Absence(OURS, 0, blocks_min, more)
    for height in range(1, 61):
        absence.add(block(height, is_signed=height in signed))
        if absence.is_proven:
            assert not signed & set(range(height - absence.blocks_needed + 1, height + 1))
            assert not signed & set(range(UNDER_WAY_MAX + 1, height + 1))


# -- the guard -------------------------------------------------------------------------------------------------


class Ledger:
    """A ledger that makes a block whenever it is looked at."""

    def __init__(self) -> None:
        self.height = 50
        self.catching_up = False
        self.peer_ids: tuple[str, ...] = ("1" * 40,)
        self.signed: Callable[[int], Sequence[str]] = lambda _: OTHERS
        self.is_silent = False
        self.votes: list[tuple[str, SigningState]] = []
        """Under way: by whom, and what."""

    async def ledger(self) -> LedgerStatus:
        if self.is_silent:
            raise Unavailable(Code.UNAVAILABLE, "no")
        return LedgerStatus(
            self.height, 0, "", None, self.catching_up, len(self.peer_ids), peer_ids=self.peer_ids
        )

    async def progress(self) -> EngineProgress:
        self.height += 1
        return EngineProgress(self.height, "", 0, (10**9, self.height, self.height))

    async def signers_of(self, height: int | None = None) -> BlockSigners:
        height = self.height if height is None else height
        return signers_of(height, self.signed(height))

    async def votes_under_way(self, address: str) -> tuple[SigningState, ...]:
        return tuple(vote for voter, vote in self.votes if voter == address)


class Http:
    """The other members' status."""

    def __init__(self) -> None:
        self.peer_names: dict[str, list[str]] = {}

    async def send(self, request: HttpRequest) -> HttpResponse:
        names = self.peer_names.get(request.url.split("/")[2], [])
        return HttpResponse(200, {}, msgspec.json.encode({"peer_names": names}))


class Setting:
    """A member of four, its guard, and what is around them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.ledger, self.http = folder, ManualClock(), Ledger(), Http()
        init_member(folder, "lubeck", "http://lubeck.example", self.clock, p2p_port=26656)
        self.address = read_key(folder / VALIDATOR_KEY).address
        others = [
            Member(f"did:x:{n}", f"m{n}", f"http://m{n}", (), 10, node_ids=(str(n) * 40,)) for n in (1, 2, 3)
        ]
        self.guard = ValidatorGuard(
            folder, lambda: others, "lubeck", self.clock, bytes, LIMITS, structlog.get_logger()
        )
        self.restarts = 0

    async def run_for(self, seconds: int) -> None:
        def restart() -> None:
            self.restarts += 1

        task = asyncio.create_task(self.guard.run(self.ledger, self.http, restart))
        for _ in range(seconds):
            for _ in range(20):
                await asyncio.sleep(0)
            await self.clock.advance(1.0)
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path / "d")


def mark(folder: Path, **fields: object) -> None:
    write_observing(folder, Observing("2026-01-01T00:00:00.000Z", Reason.RESTORED, **fields))  # type: ignore[arg-type]


def test_a_new_marketplace_signs(setting: Setting) -> None:
    assert setting.guard.decide() is False
    assert setting.guard.status.is_observing is False


async def test_a_restored_validator_signs_when_nobody_else_did_for_long_enough(setting: Setting) -> None:
    mark(setting.folder, signed=SigningState(9, 0, 3))
    (setting.folder / LEDGER / SIGNING_STATE).unlink()
    assert setting.guard.decide() is True
    assert setting.guard.status.reason is Reason.RESTORED
    await setting.run_for(12)
    assert setting.restarts == 0
    assert setting.guard.status.blocks > 0
    await setting.run_for(10)
    assert setting.restarts == 1
    height = setting.ledger.height
    assert setting.guard.decide() is False
    signed = read_signing_state(setting.folder / LEDGER)
    assert height - 10 < signed.height <= height + 1
    assert not (setting.folder / OBSERVING).exists()


async def test_a_memory_that_is_ahead_is_not_put_back(setting: Setting) -> None:
    mark(setting.folder, signed=SigningState(10_000, 2, 3))
    setting.guard.decide()
    await setting.run_for(30)
    setting.guard.decide()
    assert read_signing_state(setting.folder / LEDGER) == SigningState(10_000, 2, 3)


async def test_a_double_that_signs_keeps_it_from_signing_for_good(setting: Setting) -> None:
    mark(setting.folder)
    setting.guard.decide()
    setting.ledger.signed = lambda height: (*OTHERS, setting.address) if height == 60 else OTHERS
    await setting.run_for(60)
    assert setting.restarts == 0
    assert "ANOTHER ENGINE SIGNS" in setting.guard.status.summary
    marked = read_observing(setting.folder)
    assert marked is not None
    assert isinstance(marked.double, Sighting)
    assert setting.guard.decide() is True
    await setting.run_for(60)
    assert setting.restarts == 0
    assert setting.guard.decide() is True


@pytest.mark.parametrize(
    ("reporting", "signs"), [((), True), (("m2",), True), (("m2", "m3"), False)], ids=str
)
async def test_an_engine_that_others_have_as_peer_keeps_it_from_signing(
    setting: Setting, reporting: tuple[str, ...], signs: bool
) -> None:
    mark(setting.folder)
    setting.guard.decide()
    setting.http.peer_names = {name: ["lubeck"] for name in reporting} | {"m1": ["lubeck"]}
    await setting.run_for(60)
    assert bool(setting.restarts) is signs
    assert setting.guard.status.elsewhere == reporting


@pytest.mark.parametrize("what", ["catching up", "without peers", "silent"])
async def test_who_does_not_see_the_ledger_counts_nothing(setting: Setting, what: str) -> None:
    mark(setting.folder)
    setting.guard.decide()
    setting.ledger.catching_up = what == "catching up"
    setting.ledger.is_silent = what == "silent"
    if what == "without peers":
        setting.ledger.peer_ids = ()
    await setting.run_for(60)
    assert setting.restarts == 0
    assert setting.guard.status.blocks == 0


@pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["missing", "empty", "damaged"])
def test_a_lost_memory_of_what_was_signed_makes_it_observe(setting: Setting, content: bytes | None) -> None:
    path = setting.folder / LEDGER / SIGNING_STATE
    path.unlink() if content is None else path.write_bytes(content)
    assert setting.guard.decide() is True
    assert setting.guard.status.reason is Reason.MEMORY_LOST
    assert path.exists() is (content is not None)
    write_signing_state(setting.folder / LEDGER, SigningState(0))
    assert setting.guard.decide() is True, "a memory that comes back from somewhere is not trusted"


@pytest.mark.parametrize("behind_by", [-1, 0, 1, 1000])
async def test_a_signature_beyond_its_memory_makes_it_observe(setting: Setting, behind_by: int) -> None:
    setting.guard.decide()
    setting.ledger.height = 2000
    setting.ledger.signed = lambda _: (*OTHERS, setting.address)
    write_signing_state(setting.folder / LEDGER, SigningState(2000 - behind_by, 0, 3))
    await setting.run_for(5)
    assert bool(setting.restarts) is (behind_by > 0)
    assert setting.guard.decide() is (behind_by > 0)
    if behind_by > 0:
        assert setting.guard.status.reason is Reason.MEMORY_BEHIND


@pytest.mark.parametrize(("signature", "is_double"), [("c2ln", False), ("b3RoZXI=", True)])
async def test_another_vote_for_what_it_voted_for_shows_a_double(
    setting: Setting, signature: str, is_double: bool
) -> None:
    setting.guard.decide()
    setting.ledger.height = 2000
    setting.ledger.signed = lambda _: (*OTHERS, setting.address)
    (setting.folder / LEDGER / SIGNING_STATE).write_text(
        f'{{"height": "2000", "round": 0, "step": 3, "signature": "{signature}", "signbytes": "00"}}'
    )
    await setting.run_for(5)
    assert setting.guard.decide() is is_double
    assert (setting.guard.status.double is not None) is is_double


async def test_signatures_of_others_are_nothing_to_a_member_that_was_away(setting: Setting) -> None:
    setting.guard.decide()
    setting.ledger.height = 2000
    await setting.run_for(5)
    assert setting.guard.decide() is False


def test_a_memory_that_cannot_be_read_is_not_lost(setting: Setting) -> None:
    path = setting.folder / LEDGER / SIGNING_STATE
    path.unlink()
    path.mkdir()
    with pytest.raises(Fatal, match="cannot be read"):
        setting.guard.decide()
    assert not (setting.folder / OBSERVING).exists()


def test_a_damaged_mark_is_a_mark(setting: Setting) -> None:
    (setting.folder / OBSERVING).write_bytes(b"{")
    assert setting.guard.decide() is True
