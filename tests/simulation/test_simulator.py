"""The simulator: any seed ends well, is replayed exactly, and is shrunk when it fails."""

from __future__ import annotations

import os

import msgspec
import pytest

from hansa.sim.campaign import report
from hansa.sim.plan import LeaguePlan, Step, plan_of
from hansa.sim.running import run_plan
from hansa.sim.shrinking import shrunk
from tests.simulation.mutants import MUTANTS

FIRST_SEED = int(os.environ.get("SIM_FIRST", "1"))
SEEDS = int(os.environ.get("SIM_SEEDS", "12"))
DAYS = int(os.environ.get("SIM_DAYS", "3"))
DAY_S = 86_400.0


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEEDS))
def test_a_league_of_any_seed_ends_well(seed: int) -> None:
    outcome = run_plan(plan_of(seed))
    assert outcome.violation is None, report(outcome, is_shrunk=False)


def test_a_seed_is_replayed_exactly() -> None:
    first, again = run_plan(plan_of(3)), run_plan(plan_of(3))
    assert first == again
    assert first.messages > 20
    assert run_plan(plan_of(4)).digest != first.digest


def test_days_take_seconds() -> None:
    days = tuple(
        step
        for n in range(DAYS)
        for step in (
            Step("update", n % 3, 0),
            Step("create", n % 3, 1 + n % 3, "bound"),
            Step("wait", number=DAY_S),
        )
    )
    steps = (*(Step("create", member, 0, "chosen") for member in range(3)), *days)
    outcome = run_plan(LeaguePlan(0, 3, False, True, (), steps))
    assert outcome.violation is None
    assert outcome.simulated_s > DAYS * DAY_S
    assert outcome.positions >= 3 + 2 * DAYS


def test_a_league_of_twenty_ends_well() -> None:
    steps = tuple(Step("create", member, 0, "bound") for member in range(20))
    steps += tuple(Step("update", member, 0) for member in range(0, 20, 3))
    outcome = run_plan(LeaguePlan(0, 20, False, False, (), steps))
    assert outcome.violation is None
    creates, updates, last_writes, anchors = 20, 7, 20, 20
    assert outcome.positions == creates + updates + last_writes + anchors


def test_a_plan_that_fails_is_shrunk() -> None:
    plan = plan_of(1)
    noise = tuple(Step("wait", number=0.05) for _ in range(10))
    steps = (
        *noise,
        Step("create", 0, 0, "chosen"),
        *noise,
        Step("wait", number=5.0),
        Step("delete", 0, 0),
        *noise,
    )
    plan = msgspec.structs.replace(plan, members=3, is_lying=False, late=(), steps=steps)
    assert run_plan(plan).violation is None
    with MUTANTS["delete-ignored"]():
        smallest = shrunk(plan, lambda one: run_plan(one).violation is not None, 60)
    assert [step.action for step in smallest.steps] == ["create", "delete"]
    assert smallest.members == 2


def test_a_member_that_loses_its_store_forwards_what_is_repeated_under_the_same_key() -> None:
    steps = (
        *(Step("create", slot=5, text="bound"), Step("wait", number=30.0)),
        *(Step("forward", slot=5, number=3.0), Step("wait", number=0.01), Step("restore", 1, 5)),
    )
    outcome = run_plan(LeaguePlan(96, 2, False, True, (), steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)


@pytest.mark.parametrize("wrong_by_s", [20_000.0, -90_000.0])
def test_what_was_announced_by_a_wrong_clock_arrives_when_the_clock_is_right(wrong_by_s: float) -> None:
    confidential, public = 300, 0
    writes = (Step("update", 0, confidential), Step("update", 0, public), Step("create", 0, 1, "chosen"))
    steps = (
        *(Step("create", 0, public, "bound"), Step("choose", 0, confidential, number=2.0)),
        *(Step("wait", number=5.0), Step("clock", 0, number=wrong_by_s), *writes, Step("wait", number=900.0)),
        *(Step("update", 0, confidential), Step("update", 0, public), Step("clock", 0)),
    )
    outcome = run_plan(LeaguePlan(1, 2, False, True, (), steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)
    assert outcome.simulated_s < 3_600


def test_what_was_postponed_by_a_clock_that_was_ahead_is_retrieved_when_the_clock_is_right() -> None:
    steps = (
        *(Step("clock", 1, number=90_000.0), Step("proxy", 0, text="503")),
        *(Step("choose", 0, 300, number=2.0), Step("create", 0, 0, "bound"), Step("wait", number=60.0)),
    )
    outcome = run_plan(LeaguePlan(1, 2, False, True, (), steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)


def test_who_had_not_retrieved_what_was_lost_waits_for_it_no_more_when_it_is_withdrawn() -> None:
    bergen_and_riga, late = 6.0, (2,)
    steps = (
        *(Step("choose", 0, 300, number=bergen_and_riga), Step("wait", number=5.0), Step("restore", 0)),
        Step("publish", 0, text="not-offerings"),
    )
    outcome = run_plan(LeaguePlan(1, 3, False, True, late, steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)


def test_nobody_accuses_a_member_whose_claim_comes_after_a_crash_and_is_lost() -> None:
    steps = (
        *(Step("create", 0, 3, "bound"), Step("lag", 0, number=4.0), Step("wait", number=0.5)),
        *(Step("contest", 1, 1), Step("wait", number=5.0), Step("repeat", 0, 2, number=2.0)),
        *(Step("crash", 0, 6, "commit", 5.0), Step("create", 0, 7, "bound"), Step("update", 0, 7)),
    )
    outcome = run_plan(LeaguePlan(50_221, 2, False, True, (), steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)


def test_a_backup_seals_above_what_was_sent_by_a_clock_that_was_ahead() -> None:
    bergen, riga, late = 2.0, 4.0, (2,)
    steps = (
        *(Step("create", 0, 1, "bound"), Step("choose", 2, number=bergen), Step("choose", 0, number=bergen)),
        *(Step("back up", 0, 300), Step("clock", 0, number=250.0), Step("choose", 2, 400, number=5.0)),
        *(Step("status", 0, text="Active"), Step("choose", 1, number=7.0)),
        *(Step("choose", 0, 1, number=bergen), Step("choose", 0, 300, number=riga)),
        *(Step("wait", number=5.0), Step("restore", 0)),
    )
    outcome = run_plan(LeaguePlan(201_697, 3, False, False, late, steps))
    assert outcome.violation is None, report(outcome, is_shrunk=False)
