from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import PARTS
from benchmarks.report import Figure, Table
from tests.conftest import CHECKOUT

ALWAYS = frozenset({"api", "bus", "rights", "search"})
"""Parts that are run with every change; all of them with `make bench-quick`."""


def is_of_cached_pages(figure: Figure) -> bool:
    """Whether it counts pages that are read of a state so small that all are in memory."""
    return figure.label.startswith("pages read") and figure.value == 0


@pytest.mark.league
@pytest.mark.parametrize(
    "part", [one if one in ALWAYS else pytest.param(one, marks=pytest.mark.slow) for one in PARTS]
)
async def test_a_quick_run_measures_everything_that_a_full_run_does(part: str, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", "--quick", "--only", part, "--json", str(figures)),
        cwd=CHECKOUT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    tables = msgspec.json.decode(figures.read_bytes(), type=list[Table])
    assert tables
    figures_of_all = [figure for table in tables for row in table.rows for figure in row.figures]
    assert all(one.value > 0 or is_of_cached_pages(one) for one in figures_of_all)
