"""A league that waits for a validator which observes: what is seen of it, and after what it signs then."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Refused
from hansa.core.members import Member
from hansa.node.folder import LEDGER, OBSERVING
from hansa.node.validator.decisions import observe, sign
from hansa.node.validator.guard import sign_after
from hansa.node.validator.observing import Observing, Reason, Standstill, write_observing
from hansa.node.validator.standstill import SETTLED_S, StandstillWatch
from hansa.pubsub.engine import SIGNING_STATE, EngineProgress, SigningState, read_signing_state

OTHERS = tuple(
    Member(f"did:x:{n}", f"m{n}", f"http://m{n}", (), 10, node_ids=(str(n) * 40,)) for n in (1, 2, 3)
)
NODE_IDS = tuple(member.node_ids[0] for member in OTHERS)
ROUND = (8, 2)
"""Height and round that the league of these tests waits in, after block 7."""


def progress(step: str = "8/2/4", peers: tuple[tuple[int, int], ...] = (ROUND, ROUND)) -> EngineProgress:
    return EngineProgress(7, step, 0, tuple(height - 1 for height, _ in peers), 4, peers)


class Watched:
    """A watch, its clock, and a league of three that waits for the third."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.watch = StandstillWatch(self.clock)
        self.connected = frozenset(NODE_IDS[:2])
        self.others = OTHERS[:2]
        self.own_power = 10
        self.progress = progress()
        self.votes: tuple[SigningState, ...] = ()

    def look(self) -> Standstill | None:
        return self.watch.look(self.progress, self.connected, self.others, self.own_power, self.votes)

    async def look_after(self, seconds: float) -> Standstill | None:
        self.look()
        await self.clock.advance(seconds)
        return self.look()


async def test_a_round_that_does_not_end_for_long_enough_is_a_standstill() -> None:
    watched = Watched()
    assert await watched.look_after(SETTLED_S - 1) is None
    assert await watched.look_after(1) == Standstill(8, 2, 1)


async def test_what_the_others_have_of_its_votes_is_what_it_has_signed() -> None:
    watched = Watched()
    watched.votes = (SigningState(8, 1, 3), SigningState(8, 2, 2))
    assert await watched.look_after(SETTLED_S) == Standstill(8, 2, 2)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("progress", progress(peers=(ROUND, (8, 1)))),
        ("progress", progress(peers=(ROUND, (7, 2)))),
        ("progress", progress(peers=())),
        ("progress", progress(step="8/2/1")),
        ("progress", progress(step="9/2/4")),
        ("progress", progress(step="")),
        ("connected", frozenset(NODE_IDS[:1])),
        ("own_power", 9),
        ("own_power", 0),
        ("votes", (SigningState(8, 3, 2),)),
    ],
    ids=[
        "another round",
        "another height",
        "no peers",
        "nothing under way",
        "another block",
        "unknown",
        "too few with it",
        "enough without it",
        "no power",
        "a later vote",
    ],
)
async def test_whatever_is_not_a_standstill_begins_anew(what: str, value: object) -> None:
    watched = Watched()
    await watched.look_after(SETTLED_S)
    setattr(watched, what, value)
    if what == "own_power" and value == 9:
        watched.others = (*OTHERS[:2], msgspec.structs.replace(OTHERS[2], power=1))
        watched.connected = frozenset(NODE_IDS)
        watched.own_power = 1
    assert await watched.look_after(SETTLED_S) is None
    before = Watched()
    watched.progress, watched.connected, watched.others = before.progress, before.connected, before.others
    watched.own_power, watched.votes = before.own_power, before.votes
    assert watched.look() is None, "the time counts from here"


async def test_a_validator_that_is_away_is_named() -> None:
    watched = Watched()
    watched.others = OTHERS
    assert await watched.look_after(SETTLED_S) == Standstill(8, 2, 1, ("m3",))
    watched.connected = frozenset(NODE_IDS)
    assert watched.look() is None, "with the third it needs nobody else"


# -- what signing begins after -----------------------------------------------------------------------------------


@pytest.fixture
def folder(member_of_two: Path) -> Path:
    """Of a member without blocks: the block that is being decided is the first."""
    (member_of_two / LEDGER / SIGNING_STATE).unlink()
    return member_of_two


def mark(folder: Path, signed: SigningState, standstill: Standstill | None) -> None:
    mark = Observing("2026-01-01T00:00:00.000Z", Reason.RESTORED, signed, 1, standstill=standstill)
    write_observing(folder, mark)


def test_it_votes_in_the_round_of_its_backup_when_nobody_has_its_vote(folder: Path) -> None:
    mark(folder, SigningState(1, 0, 3), Standstill(1, 0, 1))
    assert sign(folder) == SigningState(1, 0, 1)
    assert not (folder / OBSERVING).exists()


def test_a_vote_that_somebody_has_stays_signed(folder: Path) -> None:
    mark(folder, SigningState(1, 0, 3), Standstill(1, 0, 2))
    assert sign(folder) == SigningState(1, 0, 2)


@pytest.mark.parametrize("standstill", [None, Standstill(1, 1, 1), Standstill(2, 0, 1)])
def test_what_was_seen_of_another_round_changes_nothing(folder: Path, standstill: Standstill | None) -> None:
    mark(folder, SigningState(1, 0, 3), standstill)
    assert sign(folder) == SigningState(1, 0, 3)


def test_who_is_away_may_have_the_vote_until_the_operator_says_otherwise(folder: Path) -> None:
    mark(folder, SigningState(1, 0, 3), Standstill(1, 0, 1, ("riga",)))
    with pytest.raises(Refused, match=r"riga, which is away.*--without-away"):
        sign(folder)
    assert (folder / OBSERVING).exists()
    assert not (folder / LEDGER / SIGNING_STATE).exists()
    assert sign(folder, without_away=True) == SigningState(1, 0, 1)


def test_whoever_observes_anew_forgets_what_it_saw(folder: Path) -> None:
    mark(folder, SigningState(1, 0, 3), Standstill(1, 0, 1))
    assert observe(folder, ManualClock()).standstill is None


@given(
    signed=st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 3)),
    standstill=st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 3)),
    height=st.integers(0, 2),
    is_away=st.booleans(),
)
def test_it_never_begins_before_what_others_may_have(
    tmp_path_factory: pytest.TempPathFactory,
    signed: tuple[int, int, int],
    standstill: tuple[int, int, int],
    height: int,
    is_away: bool,
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    record, seen = SigningState(*signed), Standstill(*standstill, ("riga",) if is_away else ())
    observing = Observing("now", Reason.RESTORED, record, 1, standstill=seen)
    write_observing(folder, observing)
    sign_after(folder, height, observing)
    state = read_signing_state(folder / LEDGER)
    assert state >= SigningState(height + 1)
    is_the_round = (record.height, record.round) == (seen.height, seen.round) == (height + 1, seen.round)
    if not is_the_round or is_away:
        assert state >= record, "what it remembers is contradicted in no other round"
    else:
        assert state >= min(record, seen.signed)
