"""`kill -9` in the middle of an import job: after the restart it goes on, and every record is there once."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hansa.node.folder import STORE
from tests.league.harness import OFFERINGS, RunningMember, league, wait_until

pytestmark = pytest.mark.league

RECORDS = 8000
IMPORTS = f"{OFFERINGS.rpartition('/')[0]}/importJob"


def record(number: int) -> dict[str, Any]:
    """Every other one has no identifier, so that one that is taken twice would be there twice."""
    named = {"id": f"offering-{number}"} if number % 2 else {}
    return {**named, "name": f"Offering {number}", "lifecycleStatus": "Launched"}


def stored(member: RunningMember) -> int:
    """How many there are in the store of a member that does not run."""
    with contextlib.closing(sqlite3.connect(member.folder / STORE)) as store:
        ((count,),) = store.execute("SELECT count(*) FROM entity WHERE type = 'ProductOffering'")
        return int(count)


async def offerings(member: RunningMember) -> int:
    """How many there are."""
    answer = await member.get(f"{OFFERINGS}?limit=0")
    return int(answer.headers["X-Total-Count"])


async def test_an_import_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 1) as made:
        member = made[0]
        job = (await member.post(IMPORTS, {"url": "content", "path": "productOffering"})).json()
        path = f"{IMPORTS}/{job['id']}"
        content = b"\n".join(json.dumps(record(number)).encode() for number in range(RECORDS))
        headers = {"Content-Type": "application/x-ndjson"}
        brought = await member.request("PUT", f"{path}/content", content, with_token=True, headers=headers)
        assert brought.status == 204

        async def is_under_way() -> bool:
            return await offerings(member) > 0

        await wait_until(is_under_way, "the import has begun", 30, [member])
        await member.kill("serve")
        assert 0 < stored(member) < RECORDS, "it was killed too late to show anything"
        await member.start()
        await member.wait_until_ready()

        async def is_done() -> bool:
            response = await member.request("GET", path, with_token=True)
            return bool(response.json()["status"] == "Succeeded")

        await wait_until(is_done, "the import is done", 60, [member])

        async def are_public() -> bool:
            return await offerings(member) == RECORDS

        await wait_until(are_public, "all claims on chosen identifiers are committed", 60, [member])
        progress = (await member.request("GET", path, with_token=True)).json()["progress"]
        assert progress == {"done": RECORDS, "failed": 0, "total": RECORDS}
