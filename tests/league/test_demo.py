"""`hansa demo` and the commands that speak to a marketplace, as a person uses them.

Real processes, real sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hansa.cli.demo.members import serving_process
from hansa.pubsub.engine import free_port
from tests.league.harness import CLOCK, POLL_S, free_base_port

pytestmark = [pytest.mark.league, pytest.mark.timeout(240)]

READY_TIMEOUT_S = 90.0
END_TIMEOUT_S = 30.0


class Said:
    """What a command said, and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


async def hansa(*arguments: str, stdin: str = "") -> Said:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hansa.cli",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(END_TIMEOUT_S * 2):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


class Demo:
    """A demo that runs, and what it announced."""

    def __init__(self, process: asyncio.subprocess.Process, announced: Any) -> None:
        self.process = process
        self.members: list[dict[str, str]] = announced["members"]

    @property
    def urls(self) -> list[str]:
        """Addresses of the members."""
        return [member["url"] for member in self.members]

    def pid(self, index: int) -> int:
        """The process of a member."""
        return serving_process(Path(self.members[index]["folder"])) or 0

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(END_TIMEOUT_S):
            return await self.process.wait()


@asynccontextmanager
async def demo(folder: Path, base_port: int, *further: str) -> AsyncIterator[Demo]:
    """A demo of two members, ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "hansa.cli", "demo", "--members", "2", "--dir", str(folder)),
        *("--base-port", str(base_port), "--json", *further),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = await process.stdout.readline()
        assert line, "the demo ended before it was ready"
        yield Demo(process, json.loads(line))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def wait_until_ended(pid: int) -> None:
    """Wait for the end of a process that is not ours to wait for."""
    async with asyncio.timeout(END_TIMEOUT_S):
        while Path(f"/proc/{pid}").exists():
            await CLOCK.sleep(POLL_S)


async def test_a_demo_is_made_used_stopped_and_resumed(tmp_path: Path) -> None:
    folder, base_port = tmp_path / "league", free_base_port(2)
    async with demo(folder, base_port) as first:
        same = await hansa("diff", *first.urls, "--wait", "30s", "--json")
        assert same.json()["same"] is True
        before = same.json()["entities"]
        assert before[0] > 160
        pids = [first.pid(0), first.pid(1)]
        in_use = await hansa(
            "demo", "--members", "2", "--dir", str(folder), "--base-port", str(base_port), "--json"
        )
        assert (in_use.status, in_use.json()["error"]["code"]) == (4, "folder-in-use")
        elsewhere = await hansa(
            "demo", "--members", "2", "--dir", str(tmp_path / "x"), "--base-port", str(base_port)
        )
        assert elsewhere.status == 5
        assert str(base_port + 1) in elsewhere.err
        assert not (tmp_path / "x").exists()
        assert await first.end(signal.SIGINT) == 0
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
    async with demo(folder, base_port) as second:
        again = await hansa("diff", *second.urls, "--json")
        assert again.json()["entities"] == before
        assert await second.end(signal.SIGTERM) == 0


async def test_people_of_a_demo_log_in_at_any_member(tmp_path: Path) -> None:
    folder = tmp_path / "league"
    async with demo(folder, free_base_port(2), "--empty") as made, aiohttp.ClientSession() as session:
        one, two = made.urls
        for url, person, status in ((one, "ana", 403), (two, "carla", 403), (two, "otto", 200)):
            headers = {"accept": "application/json"}
            async with session.post(f"{url}/login", json={"return_to": "/docs"}, headers=headers) as response:
                begun = await response.json()
                cookie = response.headers["set-cookie"].partition(";")[0]
            wallet = str(folder / "wallet" / person)
            presented = await hansa("wallet", "present", begun["wallet_url"], "--folder", wallet, "--yes")
            assert presented.status == 0, presented.err
            headers |= {"cookie": cookie}
            async with session.get(presented.out.strip(), headers=headers) as response:
                assert (await response.json()) == {"state": "completed", "location": "/docs"}
                made_cookies = [one.partition(";")[0] for one in response.headers.getall("set-cookie")]
            headers["cookie"] = "; ".join(made_cookies)
            async with session.get(f"{url}/operator", headers=headers) as response:
                assert response.status == status, f"{person} operates nothing" if status == 403 else person
        assert await made.end(signal.SIGINT) == 0


async def test_members_end_with_a_demo_that_is_killed(tmp_path: Path) -> None:
    async with demo(tmp_path / "league", free_base_port(2), "--empty") as made:
        pids = [made.pid(0), made.pid(1)]
        assert all(pids)
        made.process.kill()
        for pid in pids:
            await wait_until_ended(pid)
    assert all(serving_process(tmp_path / "league" / name) is None for name in ("lubeck", "bergen"))


async def test_every_command_does_what_it_says(tmp_path: Path) -> None:
    async with demo(tmp_path / "league", free_base_port(2), "--empty") as made:
        (one, two), token = made.urls, made.members[0]["token"]
        lines = [
            {"@type": "Category", "id": f"urn:ngsi-ld:category:{n}", "name": f"Category {n}"}
            | {"lifecycleStatus": "Launched" if n else "In design"}
            for n in range(10)
        ]
        file = tmp_path / "in.jsonl"
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "{not json\n")
        first = await hansa("import", str(file), "--to", one, "--token", token)
        assert (first.status, f"{file}:11: not JSON" in first.err) == (1, True)
        assert "10 created, 0 changed, 0 unchanged, 1 refused" in first.out
        again = await hansa("import", "-", "--to", one, "--token", token, "--json", stdin=file.read_text())
        assert (again.json()["unchanged"], again.json()["bad"][0]["line"]) == (10, 11)

        settled = await hansa("diff", one, two, "--wait", "30s")
        assert (settled.status, "9 entities at each of 2 members" in settled.out) == (0, True), settled.out
        copied = await hansa("import", str(file), "--to", two, "--token", made.members[1]["token"], "--json")
        counts = copied.json()
        assert (counts["skipped"], counts["created"], counts["refused"]) == (
            9,
            1,
            1,
        )  # nine are replicas there
        exported = await hansa("export", one, "--token", token, "--own")
        assert [json.loads(line)["name"] for line in exported.out.splitlines()] == [x["name"] for x in lines]
        without_token = await hansa("export", two, "--type", "Category")
        assert len(without_token.out.splitlines()) == 9

        events = await hansa("events", two, "--issuer", "lubeck", "--type", "categoryCreateEvent", "--json")
        assert [json.loads(line)["position"] for line in events.out.splitlines()] == list(range(1, 10))
        followed = await hansa("events", two, "--follow", "--after", "0", "--limit", "9")
        assert len(followed.out.splitlines()) == 9
        status = await hansa("status", two)
        assert " ready" in status.out.splitlines()[0]
        assert (await hansa("status", two, "--json")).json()["position"] == 9
        doctor = await hansa("doctor", made.members[0]["folder"], "--json")
        assert [finding for finding in doctor.json() if finding["state"] == "wrong"] == []

        refused_token = await hansa("import", str(file), "--to", one, "--token", "nonsense")
        assert (refused_token.status, "HANSA_TOKEN" in refused_token.err) == (13, True)
        nowhere = f"http://127.0.0.1:{free_port()}"
        diff = await hansa("diff", one, nowhere)
        assert (diff.status, "hansa serve" in diff.err) == (12, True)
        unfinished = (await hansa("import", str(file), "--to", nowhere, "--token", token, "--json")).json()
        assert (unfinished["is_complete"], unfinished["error"]["code"]) == (False, "unavailable")
        assert await made.end(signal.SIGTERM) == 0


async def test_a_killed_member_of_a_demo_is_started_again(tmp_path: Path) -> None:
    async with demo(tmp_path / "league", free_base_port(2), "--empty") as made:
        killed = made.pid(1)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(READY_TIMEOUT_S):
            while made.pid(1) in {0, killed}:
                await CLOCK.sleep(POLL_S)
            while (await hansa("status", made.urls[1])).status != 0:
                await CLOCK.sleep(POLL_S)
        assert await made.end(signal.SIGTERM) == 0
