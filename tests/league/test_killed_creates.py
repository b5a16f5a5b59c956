"""`kill -9` in the middle of a thousand creates over HTTP.

What was acknowledged is there, with its event, and nothing by half.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from hansa.business.index_plan import index_plan
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.limits import Limits
from hansa.store import Filter, Query
from hansa.store.sqlite.store import SqliteStore
from tests.support.business import CATALOG, MODELS
from tests.support.stored import damage

pytestmark = pytest.mark.league

CHECKOUT = Path(__file__).resolve().parents[2]
CREATES = 1000
CATEGORIES = 7


class Killed:
    """A bare marketplace in a process of its own, that is killed after so many acknowledgements."""

    def __init__(self, store: Path, seed: int) -> None:
        self.acknowledged: set[str] = set()
        self._kill_at = random.Random(seed).randrange(100, 800)
        self._seed = seed
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serve_business", str(store)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/src"},
        )
        assert self._process.stdout is not None
        self._origin = self._process.stdout.readline().strip()
        assert urlsplit(self._origin).port

    async def create_all(self) -> None:
        """Send all creates at once; most of them are never answered."""
        connector = aiohttp.TCPConnector(limit=CREATES)
        headers = {"Authorization": "Bearer operator"}
        async with aiohttp.ClientSession(self._origin, connector=connector, headers=headers) as session:
            await asyncio.gather(*(self._create(session, number) for number in range(CREATES)))
        self._process.communicate(timeout=30)
        assert self._process.returncode == -signal.SIGKILL

    async def _create(self, session: aiohttp.ClientSession, number: int) -> None:
        named = {"id": f"offering-{self._seed}-{number}"} if number % 2 else {}  # the others are named there
        body = {
            **named,
            "name": f"Offering {number}",
            "lifecycleStatus": "Launched",
            "category": [{"id": f"category-{number % CATEGORIES}"}],
        }
        try:
            async with session.post(f"{CATALOG}/productOffering", json=body) as answer:
                if answer.status != 201:
                    return
                self.acknowledged.add(answer.headers["Location"].rpartition("/")[2])
        except (aiohttp.ClientError, OSError):
            return
        if len(self.acknowledged) == self._kill_at:
            self._process.kill()


async def check(store: SqliteStore, acknowledged: set[str]) -> None:
    """Entities, feed, counts and index tell the same, and everything that was acknowledged is among it."""
    assert await damage(store) == []
    entities = {entity.id: entity async for page in store.scan(public_only=False) for entity in page}
    assert acknowledged <= entities.keys()
    created = [change.entity_id for change in await store.changes(0, 10 * CREATES)]
    assert sorted(created) == sorted(entities)
    for entity in entities.values():
        assert canonical_json(msgspec.json.decode(entity.body)) == entity.body
        assert hashlink(entity.body) == entity.hashlink
    assert sum((await store.counts()).values()) == len(entities)
    total = 0
    for number in range(CATEGORIES):
        category = Filter(("category", "id"), (f"category-{number}",))
        page = await store.list(Query("ProductOffering", (category,), limit=CREATES))
        assert page.total == len(page.ids)
        total += page.total
    assert total == len(entities)


async def test_every_acknowledged_create_survives_kill_9_with_its_event(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    acknowledged: set[str] = set()
    for seed in range(2):
        killed = Killed(path, seed)
        await killed.create_all()
        acknowledged |= killed.acknowledged
        assert len(killed.acknowledged) >= 100
        store = await SqliteStore.open(path, SystemClock(), Limits(), plan=index_plan(MODELS))
        await check(store, acknowledged)
        await store.close()
