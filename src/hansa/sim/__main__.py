"""`python -m hansa.sim`: a campaign of seeds, or one seed or plan once more."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from hansa.sim.campaign import campaign, report
from hansa.sim.plan import LeaguePlan, plan_of
from hansa.sim.running import run_plan
from hansa.sim.shrinking import described


def main() -> int:
    """Run what the arguments say; 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m hansa.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--failures", type=int, default=10, help="end after so many failures")
    parser.add_argument("--seed", type=int, help="this seed alone, with its steps")
    parser.add_argument("--plan", type=Path, help="the plan in this file alone")
    parser.add_argument("--log", action="store_true", help="with the log of the members")
    parser.add_argument("--no-shrinking", action="store_true", help="do not look for smaller plans")
    arguments = parser.parse_args()
    if arguments.seed is not None or arguments.plan is not None:
        if arguments.plan is not None:
            plan = msgspec.json.decode(arguments.plan.read_bytes(), type=LeaguePlan)
        else:
            plan = plan_of(arguments.seed)
        return _once(plan, has_log=arguments.log, is_shrunk=not arguments.no_shrinking)
    failed = campaign(
        *(arguments.first, arguments.seeds, arguments.processes, arguments.failures),
        is_shrunk=not arguments.no_shrinking,
    )
    return 1 if failed else 0


def _once(plan: LeaguePlan, *, has_log: bool, is_shrunk: bool) -> int:
    print(f"seed {plan.seed}: {plan.members} members{', the last one lies' if plan.is_lying else ''}")
    print(described(plan.steps))
    outcome = run_plan(plan, has_log=has_log)
    if outcome.violation is not None:
        print(report(outcome, is_shrunk=is_shrunk))
        return 1
    print(
        f"everything held: {outcome.simulated_s:.1f} s simulated, {outcome.messages} messages, "
        f"{outcome.positions} events, answers {outcome.answers}, digest {outcome.digest:08x}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
