"""The simulator finds every deliberate bug. `make mutants` tries all of them (variable MUTANTS)."""

from __future__ import annotations

import os
import sys

import pytest

from hansa.sim.plan import plan_of
from hansa.sim.running import run_plan
from tests.simulation.mutants import MUTANTS

SEEDS_MAX = 200
FEW = ("hash-not-compared", "delete-ignored", "visible-before-the-claim")
CHOSEN = os.environ.get("MUTANTS", ",".join(FEW))
NAMES = sorted(MUTANTS) if CHOSEN == "all" else CHOSEN.split(",")


@pytest.mark.parametrize("name", NAMES)
def test_a_deliberate_bug_is_found(name: str) -> None:
    with MUTANTS[name]():
        for seed in range(1, SEEDS_MAX + 1):
            outcome = run_plan(plan_of(seed))
            if outcome.violation is not None:
                sys.stdout.write(f"{name}: found by seed {seed}: {outcome.violation[:300]}\n")
                return
    pytest.fail(f"{name} is not found by {SEEDS_MAX} seeds")
