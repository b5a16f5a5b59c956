"""A process that is killed while it writes: what it acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.store import Filter, Query
from hansa.store.sqlite.store import SqliteStore
from tests.support.stored import damage
from tests.unit.store.drafts import OFFERING, opened

CHECKOUT = Path(__file__).resolve().parents[3]


def killed_after(path: Path, acknowledgements: int) -> list[str]:
    """Names of the transactions that a writer acknowledged before it was killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(CHECKOUT), str(CHECKOUT / "src")))}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.store.crashing_writer", str(path)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=CHECKOUT,
    ) as writer:
        assert writer.stdout is not None
        heard = [writer.stdout.readline() for _ in range(acknowledgements)]
        writer.kill()
        heard += writer.stdout.readlines()
        assert writer.wait() == -signal.SIGKILL
    return [line.decode().strip() for line in heard if line.endswith(b"\n")]


async def check(store: SqliteStore, acknowledged: list[str]) -> None:
    """Every acknowledged transaction is complete, and so is every other that left anything."""
    assert await damage(store) == []
    created = [
        change.entity_id for change in await store.changes(0, 1_000_000) if change.operation == "create"
    ]
    present = {entity.id async for page in store.scan() for entity in page}
    assert sorted(created) == sorted(present)
    assert {f"{name}-{part}" for name in acknowledged for part in "ab"} <= present
    assert {id[:-1] for id in present if id.endswith("a")} == {id[:-1] for id in present if id.endswith("b")}
    for worker in range(8):
        numbers = [
            int(id.split("-")[1]) for id in present if id.startswith(f"{worker}-") and id.endswith("a")
        ]
        assert await store.cursor(f"worker-{worker}") == len(numbers) == max(numbers, default=0)
    assert await store.counts() == {(OFFERING, True, True): len(present)}
    by_category = [
        (await store.list(Query(OFFERING, (Filter(("category", "id"), (f"c{n}",)),), limit=0))).total
        for n in range(3)
    ]
    assert sum(by_category) == len(present) // 2


@pytest.mark.parametrize("seed", range(3))
async def test_after_kill_9_every_acknowledged_write_is_there_and_none_by_half(
    tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "store.db"
    acknowledged: list[str] = []
    for _ in range(2):
        acknowledged += killed_after(path, random.Random(seed).randrange(1, 600))
        async with opened(path) as store:
            await check(store, acknowledged)
