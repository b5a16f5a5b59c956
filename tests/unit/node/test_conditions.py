"""A marketplace that serves says what is wrong all the same; one that has nothing to say is well."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.core.trust.certificates import KeyCertificate
from hansa.node.health import BlockProgress, ConditionCode, LeagueView, conditions_page
from hansa.node.health.conditions import (
    ALONE_AFTER_S,
    MEANINGS,
    STALLED_AFTER_S,
    certificate_conditions,
    has_nobody_to_follow,
    ledger_conditions,
    publication_conditions,
    retrieval_conditions,
)
from hansa.node.ledger_view import LedgerView
from hansa.node.status import Readiness
from hansa.pubsub.engine import EngineProgress
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.waiting import WaitingFigures
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.replication import OriginProgress
from tests.contract.origins import Origin

MEMBERS = tuple(
    msgspec.structs.replace(Origin(name).member, node_ids=(f"{number:040x}",))
    for number, name in enumerate(("lubeck", "bergen", "riga", "bruges"))
)
POWERS = {validator_address(member.validator_key): 10 for member in MEMBERS}
LEDGER = LedgerStatus(
    *(9, 1, "00", None, False, 3),
    peer_ids=tuple(member.node_ids[0] for member in MEMBERS[1:]),
    powers=POWERS,
)
WELL = LeagueView(
    LEDGER,
    MEMBERS,
    MEMBERS[0].did,
    signs=True,
    heartbeat_s=60.0,
    since_block_s=50.0,
    stalled_s=0.0,
    waiting=0,
)
HELD = OriginProgress(MEMBERS[1].did, "bergen", 0, 0, None, None, 0, None, 0, None)


def view(ledger: dict[str, Any] | None = None, **changes: Any) -> LeagueView:
    """The league that is well, with changes."""
    changed = msgspec.structs.replace(LEDGER, **(ledger or {}))
    return msgspec.structs.replace(WELL, ledger=changed, **changes)


def test_a_certificate_is_said_to_expire_a_month_before_and_to_have_expired() -> None:
    certificate = KeyCertificate("0" * 64, "did:elsi:VATES-1", "key-1", 10_000_000, 0, 0, ("AAAA",))
    month_s = 30 * 86_400
    assert certificate_conditions([certificate], 1000 * (10_000_000 - month_s)) == ()
    (soon,) = certificate_conditions([certificate], 1000 * (10_000_000 - month_s + 1))
    assert soon.code is ConditionCode.CERTIFICATE_EXPIRES
    assert "1970-04-26T17:46:40.000Z" in soon.message
    (late,) = certificate_conditions([certificate], 1000 * 10_000_001)
    assert late.code is ConditionCode.CERTIFICATE_INVALID
    (revoked,) = certificate_conditions([msgspec.structs.replace(certificate, revoked_ms=1)], 2)
    assert "revoked" in revoked.message


def codes(league: LeagueView) -> list[ConditionCode]:
    return [condition.code for condition in ledger_conditions(league)]


def with_peers(count: int) -> dict[str, Any]:
    return {"peer_ids": LEDGER.peer_ids[:count]}


def test_an_idle_league_between_two_heartbeats_is_well() -> None:
    assert codes(WELL) == []


def test_a_league_without_a_first_block_says_who_is_missing() -> None:
    (condition,) = ledger_conditions(view({"height": 0, **with_peers(1)}))
    assert condition.code is ConditionCode.LEDGER_NOT_BEGUN
    assert condition.message.endswith(
        "members with 20 of 40 of the voting power are connected, and more than 2/3 is needed; "
        "not connected: riga, bruges"
    )
    assert "restart" not in condition.message


def test_with_exactly_two_thirds_a_league_has_no_quorum() -> None:
    three = MEMBERS[:3]
    powers = {validator_address(member.validator_key): 10 for member in three}
    ledger = {"powers": powers, **with_peers(1)}
    assert codes(view(ledger, members=three)) == [ConditionCode.QUORUM_MISSING]
    assert codes(view({"powers": powers, **with_peers(2)}, members=three)) == []


@pytest.mark.parametrize("status", ["removed", "left"])
def test_a_former_member_does_not_wait_for_a_quorum_that_never_comes_back(
    status: Literal["removed", "left"],
) -> None:
    me = msgspec.structs.replace(MEMBERS[0], status=status)
    alone = view(with_peers(0), since_block_s=9_000.0, stalled_s=9_000.0, waiting=3)
    assert codes(alone) == [ConditionCode.QUORUM_MISSING, ConditionCode.NO_BLOCK]
    assert codes(msgspec.structs.replace(alone, members=(me, *MEMBERS[1:]))) == []


@pytest.mark.parametrize("status", ["removed", "suspended"])
def test_the_status_of_another_member_or_a_suspension_hides_no_lost_quorum(
    status: Literal["removed", "suspended"],
) -> None:
    number = 1 if status == "removed" else 0
    members = list(MEMBERS)
    members[number] = msgspec.structs.replace(members[number], status=status)
    alone = view(with_peers(0), members=tuple(members))
    assert codes(alone) == [ConditionCode.QUORUM_MISSING]


def test_a_lost_quorum_is_seen_at_once_and_not_for_one_member_alone() -> None:
    assert codes(view(with_peers(2))) == []
    assert codes(view(with_peers(1), since_block_s=0.0)) == [ConditionCode.QUORUM_MISSING]
    assert codes(view(with_peers(0), since_block_s=0.0)) == [ConditionCode.QUORUM_MISSING]


def test_an_own_validator_that_observes_does_not_count() -> None:
    (condition,) = ledger_conditions(view(with_peers(2), signs=False))
    assert "lubeck (this one, which observes)" in condition.message


def test_a_league_of_one_has_a_quorum_of_its_own() -> None:
    powers = {validator_address(MEMBERS[0].validator_key): 10}
    alone = view({"powers": powers, "peer_ids": (), "peers": 0}, members=MEMBERS[:1])
    assert codes(alone) == []


def test_no_block_while_something_waits_is_said_before_the_heartbeat_is_missed() -> None:
    def stalled(stalled_s: float) -> LeagueView:
        return msgspec.structs.replace(WELL, stalled_s=stalled_s, waiting=2)

    assert codes(stalled(STALLED_AFTER_S)) == []
    (condition,) = ledger_conditions(stalled(STALLED_AFTER_S + 1))
    assert (condition.code, condition.message) == (
        ConditionCode.NO_BLOCK,
        "no block for 50 s while 2 transactions wait",
    )


def test_missing_heartbeats_are_said_though_nothing_waits() -> None:
    assert codes(view(since_block_s=130.0)) == []
    assert codes(view(since_block_s=136.0)) == [ConditionCode.NO_BLOCK]


def test_an_engine_that_catches_up_is_not_said_to_stand_still() -> None:
    assert codes(view({"catching_up": True, "height": 0}, since_block_s=1e6)) == []


@pytest.mark.parametrize(
    ("height", "code"), [(0, ConditionCode.LEDGER_NOT_BEGUN), (9, ConditionCode.QUORUM_MISSING)]
)
def test_an_engine_without_peers_has_nobody_to_catch_up_with(height: int, code: ConditionCode) -> None:
    """The first founder's, which starts alone, and that of a member that starts while all others are down."""
    alone: dict[str, Any] = {"catching_up": True, "height": height, "peer_ids": (), "peers": 0}
    assert codes(view(alone, since_block_s=ALONE_AFTER_S)) == []
    (condition,) = ledger_conditions(view(alone, since_block_s=ALONE_AFTER_S + 1))
    assert condition.code is code
    assert "not connected: bergen, riga, bruges" in condition.message
    assert has_nobody_to_follow(view(alone).ledger, ALONE_AFTER_S + 1)
    assert not has_nobody_to_follow(view({**alone, "peers": 1}).ledger, ALONE_AFTER_S + 1)
    assert not has_nobody_to_follow(view({**alone, "catching_up": False}).ledger, ALONE_AFTER_S + 1)


@pytest.mark.parametrize(
    ("failing", "attempts", "problem", "expected"),
    [
        (None, 0, None, None),
        ("2026-08-01T00:00:00Z", 2, Code.RETRIEVAL_UNREACHABLE, None),
        ("2026-08-01T00:00:00Z", 3, Code.RETRIEVAL_UNREACHABLE, ConditionCode.RETRIEVALS_FAIL),
        ("2026-08-01T00:00:00Z", 1, Code.HOST_NOT_ALLOWED, ConditionCode.RETRIEVALS_NOT_ALLOWED),
    ],
)
def test_a_member_whose_entities_do_not_come_is_named(
    failing: str | None, attempts: int, problem: Code | None, expected: ConditionCode | None
) -> None:
    origin = msgspec.structs.replace(
        HELD, failing_since=failing, attempts=attempts, problem=problem and str(problem)
    )
    conditions = retrieval_conditions([HELD, origin])
    assert [one.code for one in conditions] == ([expected] if expected else [])
    assert all("bergen" in one.message and str(problem) in one.message for one in conditions)


def test_the_setting_for_a_private_network_is_named() -> None:
    assert "allow_private_networks = true" in MEANINGS[ConditionCode.RETRIEVALS_NOT_ALLOWED][1]


@pytest.mark.parametrize(
    ("problem", "waiting", "refused", "expected"),
    [
        (None, 9, 0, []),
        (Code.EVENT_ISSUER_UNKNOWN, 0, 0, []),
        (Code.OVERLOADED, 9, 0, []),
        (Code.EVENT_ISSUER_UNKNOWN, 1, 0, [ConditionCode.PUBLICATION_FAILS]),
        (None, 0, 2, [ConditionCode.ENTITIES_REFUSED]),
    ],
)
def test_own_events_that_the_ledger_does_not_take_are_said(
    problem: Code | None, waiting: int, refused: int, expected: list[ConditionCode]
) -> None:
    assert [one.code for one in publication_conditions(problem, waiting, refused)] == expected


def test_every_condition_has_a_meaning_and_a_remedy() -> None:
    assert set(MEANINGS) == set(ConditionCode)
    assert all(meaning and remedy for meaning, remedy in MEANINGS.values())
    assert all(f"`{code}`" in conditions_page() for code in ConditionCode)


def test_a_marketplace_that_serves_without_a_quorum_is_degraded_and_says_why() -> None:
    conditions = ledger_conditions(view(with_peers(0)))
    degraded = Readiness(True, tuple(one.message for one in conditions), conditions)
    assert (degraded.status, len(degraded.reasons)) == ("degraded", 1)
    assert Readiness(False, ("the disk is nearly full",), ()).status == "not ready"
    assert Readiness(True, (), ()).status == "ready"


class Engine:
    """An engine whose progress is looked at."""

    def __init__(self, clock: ManualClock) -> None:
        self.blocks = BlockProgress(clock, lambda: 60.0)
        self.progress = EngineProgress(7, "8/0/1", 0, ())
        self.query = self.blocks.noting(self._answer)

    async def _answer(self) -> EngineProgress:
        return self.progress


async def test_a_block_is_as_old_as_it_was_seen_to_come() -> None:
    clock = ManualClock()
    engine = Engine(clock)
    blocks, query = engine.blocks, engine.query
    await query()
    await clock.advance(20)
    assert (await query()).height == 7
    assert blocks.since_block_s == 20.0
    engine.progress = msgspec.structs.replace(engine.progress, height=8)
    await query()
    await clock.advance(5)
    assert blocks.since_block_s == 5.0


async def test_an_idle_time_before_something_waits_is_no_stall() -> None:
    clock = ManualClock()
    engine = Engine(clock)
    blocks, query = engine.blocks, engine.query
    await query()
    await clock.advance(50)
    assert blocks.stalled_s == 0.0
    engine.progress = msgspec.structs.replace(engine.progress, transactions_waiting=3)
    await query()
    assert (blocks.stalled_s, blocks.waiting) == (0.0, 3)
    await clock.advance(9)
    blocks.note_events_waiting(2)
    assert (blocks.stalled_s, blocks.since_block_s) == (9.0, 59.0)
    blocks.note_height(8)  # what waited is in the block, or a later one
    await clock.advance(4)
    assert blocks.stalled_s == 4.0
    engine.progress = msgspec.structs.replace(engine.progress, height=8, transactions_waiting=0)
    await query()
    assert blocks.stalled_s == 4.0, "own events still wait"
    blocks.note_events_waiting(0)
    assert blocks.stalled_s == 0.0


async def test_an_answer_of_a_process_that_ended_is_not_fresh() -> None:
    pids: tuple[int | None, ...] = (1, 2)
    answers: list[LedgerStatus] = [LEDGER]

    class Bus:
        async def ledger(self) -> LedgerStatus:
            if not answers:
                raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")
            return answers.pop()

    async def waiting() -> WaitingFigures:
        raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")

    bus: Any = Bus()
    ledger = LedgerView(bus, ManualClock(), waiting, lambda: pids)
    assert await ledger.refresh() == LEDGER
    assert await ledger.refresh() == LEDGER
    pids = (None, 2)
    assert await ledger.refresh() is None
    assert ledger.problem == "The engine cannot be reached."
    assert await ledger.waiting() is None


def test_strangers_read_why_without_names_and_figures() -> None:
    conditions = ledger_conditions(view({"height": 0, **with_peers(1)}))
    codes = ("task-not-running", *(str(one.code) for one in conditions))
    readiness = Readiness(False, tuple(one.message for one in conditions), conditions, codes)
    assert readiness.public_reasons == (
        "A background task does not run.",
        MEANINGS[ConditionCode.LEDGER_NOT_BEGUN][0],
    )
    assert all(len(reason) > 10 for reason in readiness.public_reasons)
