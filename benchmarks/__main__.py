"""`python -m benchmarks`: measures Hansa on this machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.plan import FULL, QUICK, Plan
from benchmarks.processes import BenchmarkError
from benchmarks.report import Table

PARTS: Final = (
    *("api", "hub", "bus", "growth", "joining", "validator_keys", "flood", "league", "filling", "readers"),
    *("credentials", "logins", "rights", "replicating", "search", "portal", "ageing"),
)
"""Modules with a function `measure`; loaded one by one, because each brings the layers that it measures."""


def main() -> int:
    """Measure, print, and write JSON when an option says so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part alone; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="seconds, to see that everything runs; no figures"
    )
    parser.add_argument(
        "--stored", type=int, action="append", metavar="N", help="offerings stored in `api`; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.stored:
        plan = msgspec.structs.replace(plan, stored=tuple(options.stored))
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores", flush=True)
    if options.quick:
        print("A quick run: it shows that everything runs, and no more.", flush=True)
    tables: list[Table] = []
    try:
        for name in options.only or PARTS:
            for table in asyncio.run(measured(import_module(f"benchmarks.{name}").measure, plan)):
                tables.append(table)
                print("\n".join(table.lines()), flush=True)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(tables), indent=2) + b"\n")
    return 0


async def measured(part: Callable[[Plan, Path], Awaitable[list[Table]]], plan: Plan) -> list[Table]:
    """One part, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="hansa-bench-"))
    try:
        return await part(plan, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
