"""`PYTHONPATH=engine python -m tests.league.scenarios [NAME…]`: lists scenarios, or carries some out."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.league.disks import DiskMissing
from tests.league.engine_clock import EngineMissing
from tests.league.scenarios.hosts import NamespacesMissing
from tests.league.scenarios.manifest import read_scenario, scenario_names
from tests.league.scenarios.run import run_scenario


def main() -> int:
    """Exit status 1 when one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.league.scenarios", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios; `all` means all of them")
    names = parser.parse_args().names
    if not names:
        for name in scenario_names():
            scenario = read_scenario(name)
            short = "short" if scenario.is_short else ""
            say(f"{name:28} {scenario.members} members  {short:6} {scenario.about}")
        return 0
    has_failed = False
    for name in scenario_names() if names == ["all"] else names:
        with tempfile.TemporaryDirectory(prefix="hansa-scenario-") as folder:
            try:
                outcome = asyncio.run(run_scenario(name, read_scenario(name), Path(folder) / "league"))
            except (NamespacesMissing, DiskMissing, EngineMissing) as error:
                say(f"{name}: left out, {error}")
                continue
            except AssertionError as error:
                say(f"{name}: FAILED: {error}")
                has_failed = True
                continue
        say("\n".join(outcome.lines()))
        has_failed = has_failed or bool(outcome.failures)
    return int(has_failed)


def say(text: str) -> None:
    """Write a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
