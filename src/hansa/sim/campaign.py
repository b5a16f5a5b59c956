"""Campaigns: many seeds, in several processes, and what is said about those that fail."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from hansa.sim.plan import LeaguePlan, plan_of
from hansa.sim.running import SimulationOutcome, run_plan
from hansa.sim.shrinking import described, shrunk

SHRINKING_RUNS_MAX: Final = 150
REPORT_EVERY: Final = 100


def run_seed(seed: int) -> SimulationOutcome:
    """Simulate the league of a seed."""
    return run_plan(plan_of(seed))


def outcomes(seeds: Iterable[int], processes: int) -> Iterator[SimulationOutcome]:
    """Simulate many leagues, in no order."""
    if processes <= 1:
        yield from map(run_seed, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, maxtasksperchild=500) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=5)


def fails(plan: LeaguePlan) -> bool:
    """Whether a plan fails."""
    return run_plan(plan).violation is not None


def report(outcome: SimulationOutcome, *, is_shrunk: bool) -> str:
    """What is said about a seed that fails."""
    seed = outcome.plan.seed
    lines = [f"seed {seed} fails: {outcome.violation}", f"  replay it: make sim SEED={seed}"]
    if is_shrunk:
        plan = shrunk(outcome.plan, fails, SHRINKING_RUNS_MAX)
        again = run_plan(plan)
        liar = ", the last one lies" if plan.is_lying else ""
        lines += [
            f"  shrunk from {len(outcome.plan.steps)} to {len(plan.steps)} steps, {plan.members} members{liar}:",
            described(plan.steps),
            f"  which fails: {again.violation}",
            f"  as a plan: {msgspec.json.encode(plan).decode()}",
        ]
    return "\n".join(lines)


def campaign(first: int, count: int, processes: int, failures_max: int, *, is_shrunk: bool) -> int:
    """Simulate many leagues, and print what became of them; how many failed."""
    started_at_s = time.monotonic()
    failed: list[int] = []
    simulated_s = 0.0
    n = 0
    for n, outcome in enumerate(outcomes(range(first, first + count), processes), 1):
        simulated_s += outcome.simulated_s
        if outcome.violation is not None:
            failed.append(outcome.plan.seed)
            print(report(outcome, is_shrunk=is_shrunk), flush=True)
            if len(failed) >= failures_max:
                break
        if n % REPORT_EVERY == 0:
            _print_progress(n, count, failed, simulated_s, time.monotonic() - started_at_s)
    _print_progress(n, count, failed, simulated_s, time.monotonic() - started_at_s)
    return len(failed)


def _print_progress(n: int, count: int, failed: list[int], simulated_s: float, took_s: float) -> None:
    days = simulated_s / 86_400
    print(
        f"{n} of {count} seeds, {len(failed)} failed {failed or ''}, {days:.1f} days simulated in {took_s:.0f} s "
        f"({n / max(took_s, 0.001):.2f} seeds/s)",
        flush=True,
    )
