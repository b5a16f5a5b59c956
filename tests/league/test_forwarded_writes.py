"""Forwarded writes and the audit log, in one league of real processes.

The tests share the league, and each makes what it needs. The first member is the origin of everything, at the
second its replicas are written.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hansa.core.errors import EXIT_STATUS, Code
from hansa.core.identifiers import entity_key
from hansa.node.folder.demo_league import HOST
from tests.league.harness import Answer, League, RunningMember, league, wait_until
from tests.league.offerings import PATIENCE_S, name_at, named, shared

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]

SETTINGS: dict[str, Any] = {
    "write_delegations": ("* * *",),
    "forward_timeout_s": 1.5,
    "audit_anchor_interval_s": 2.0,
    "audit_notes_interval_s": 0.2,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[League]:
    async with league(tmp_path_factory.mktemp("distribution"), 3, SETTINGS) as made:
        yield made


async def write(member: RunningMember, path: str, name: str, **headers: str) -> Answer:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return await member.request("PATCH", path, {"name": name}, with_token=True, headers=sent)


async def events_of(members: League, path: str) -> list[Any]:
    """What the ledger has about an entity of the first member."""
    key = entity_key((await members[0].status())["did"], path.rpartition("/")[2])
    return list((await members[2].get(f"/league/v1/events?entity={key}")).json()["events"])


async def hansa(*arguments: str) -> tuple[int, str]:
    """Exit status and standard output of a command."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hansa.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


# -- writes to replicas ------------------------------------------------------------------------------------


async def test_a_write_to_a_replica_is_seen_everywhere_and_a_stale_one_refused(members: League) -> None:
    path = await shared(members, name="first")
    version = (await members[1].get(path)).headers["etag"]
    answer = await write(members[1], path, "second", if_match=version)
    assert answer.status == 200, answer.body
    position = answer.headers["hansa-position"]
    for member in members.members:
        read = await member.get(f"{path}?min-position={position}")
        assert (read.status, read.json()["name"]) == (200, "second")
    stale = await write(members[1], path, "third", if_match=version)
    assert (stale.status, stale.json()["code"]) == (412, "precondition-failed")
    assert await name_at(members[0], path) == "second"


async def test_a_write_whose_connection_was_killed_is_repeated_and_done_once(members: League) -> None:
    path = await shared(members, name="before")
    body = b'{"name":"after"}'
    request = (
        f"PATCH {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {members[1].token}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: killed-1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((HOST, members[1].port)) as connection:
        connection.sendall(request + body)  # nobody reads the answer
    answers = [await write(members[1], path, "after", idempotency_key="killed-1") for _ in range(3)]
    assert [one.status for one in answers] == [200] * 3
    assert len({one.headers["etag"] for one in answers}) == 1
    await named(members[1], path, "after")
    assert len(await events_of(members, path)) == 2, "it was created, and changed once"
    other = await write(members[1], path, "else", idempotency_key="killed-1")
    assert (other.status, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_an_origin_that_is_away_is_written_to_when_it_is_back(members: League) -> None:
    path = await shared(members, name="here")
    await members[0].hang("serve")
    try:
        refused = await write(members[1], path, "now")
        assert (refused.status, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        queued = await write(members[1], path, "later", prefer="respond-async")
        assert queued.status == 202, queued.body
        monitor = queued.headers["location"].removeprefix(members[1].url)
        assert (await members[1].get(monitor, with_token=True)).json()["state"] == "InProgress"
        assert (await members[1].get(monitor)).status == 401
    finally:
        await members[0].wake("serve")

    async def is_completed() -> bool:
        return bool((await members[1].get(monitor, with_token=True)).json()["state"] == "Completed")

    await wait_until(is_completed, "the write was sent", PATIENCE_S, members.members)
    await named(members[2], path, "later")


# -- the audit log -----------------------------------------------------------------------------------------


async def test_what_happened_is_in_the_audit_log_and_cannot_be_cut_off(
    members: League, tmp_path: Path
) -> None:
    path = await shared(members, name="audited")
    answer = await write(members[1], path, "changed")
    assert answer.status == 200, answer.body
    file = tmp_path / "audit.jsonl"
    token = members[0].token

    async def is_anchored() -> bool:
        status, _ = await hansa("audit", "export", members[0].url, "-o", str(file), "--token", token)
        assert status == 0
        status, output = await hansa("audit", "verify", str(file), "--ledger", members[2].url, "--json")
        return status == 0 and json.loads(output)["kinds"].get("anchored", 0) > 0

    await wait_until(is_anchored, "the log is anchored", PATIENCE_S, members.members)
    lines = file.read_bytes().splitlines(keepends=True)
    kinds = {json.loads(line)["kind"] for line in lines[1:]}
    assert kinds >= {"published", "served", "carried-out", "anchored"}
    assert b"urn:" not in b"".join(lines)
    refused = EXIT_STATUS[Code.PROOF_INVALID]
    file.write_bytes(b"".join(lines[:2]))
    assert (await hansa("audit", "verify", str(file)))[0] == 0
    assert (await hansa("audit", "verify", str(file), "--ledger", members[2].url))[0] == refused
    file.write_bytes(b"".join((*lines[:2], *lines[3:])))
    assert (await hansa("audit", "verify", str(file)))[0] == refused
