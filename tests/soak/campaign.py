"""A marketplace under one attack over HTTP after the other, with an honest client beside each.

`python -m tests.soak.campaign [--seconds S] [--members N] [ATTACK…]` runs all attacks, or those that are
named, against a real marketplace with some thousand offerings, and prints a row for each: what an honest
client measured meanwhile, the memory of the server, and how the attacker was answered. The first row is
without an attack, the last with all of them together. With several members the others replicate what the
attacked one has, and what it is made to write.

Latencies say something of the product only on a machine that has nothing else to do. What always does is how
long the server's event loop computed between an honest request and its answer: with that, an attacker makes
others wait.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from hansa.node.folder import issue_folder_token
from tests.golden.environments import TOP
from tests.league.harness import CLOCK, OFFERINGS, RunningMember, league
from tests.soak.http_attacker import Tokens
from tests.soak.http_attacks import ATTACKS
from tests.soak.measurements import MEBIBYTE, log_row, quantiles, resident_bytes, table

ENTITIES: Final = 3000
DESCRIPTION_CHARS: Final = 600
CREATES_IN_FLIGHT: Final = 16
PROBE_PAUSE_S: Final = 0.02
PROBE_TIMEOUT_S: Final = 10.0
NOTHING: Final = "(nothing)"
LIST: Final = f"{OFFERINGS}?limit=20"
PROBES: Final = {"livez": "/livez", "list": LIST}
LIVEZ_P99_MAX_S: Final = 0.05
LIST_P99_MAX_S: Final = 0.1
WORK_MAX_S: Final = 0.05
SAMPLES_MIN: Final = 20
"""Honest requests for livez that a row needs."""
MEMORY_GROWTH_MAX_BYTES: Final = 256 * MEBIBYTE
"""By which one attack may raise the memory of the server."""
TOKEN_EXPIRES_IN_S: Final = 3600.0


class AttackRow(msgspec.Struct, frozen=True):
    """One attack: what was measured beside it."""

    name: str
    livez_s: tuple[float, float, float]
    """Median, 99 in 100, greatest."""
    list_s: tuple[float, float, float]
    work_s: tuple[float, float, float]
    """Processor time of the server's event loop between a request for livez and its answer."""
    refusals: dict[str, int]
    """Honest requests without a successful answer, by status or kind of failure."""
    first_bytes: int
    peak_bytes: int
    answers: dict[str, int]
    tracebacks: int
    """In the log, during this attack."""

    def failures(self) -> Iterator[str]:
        """What does not hold, whatever the machine does besides."""
        grown = self.peak_bytes - self.first_bytes
        if grown > MEMORY_GROWTH_MAX_BYTES:
            yield f"{self.name}: the server grew by {grown / MEBIBYTE:.0f} MiB"
        if not self.work_s[0] <= WORK_MAX_S:
            yield f"{self.name}: for a livez the event loop computed {self.work_s[0] * 1000:.0f} ms"
        if self.tracebacks:
            yield f"{self.name}: {self.tracebacks} tracebacks in the log"
        refused = {answer: count for answer, count in self.refusals.items() if answer.isdigit()}
        if refused:
            yield f"{self.name}: an honest client was answered {refused}"
        wrong = {answer: count for answer, count in self.answers.items() if answer.endswith("500")}
        if wrong:
            yield f"{self.name}: the attacker was answered {wrong}"

    def delays(self) -> Iterator[str]:
        """What takes too long on a machine that has nothing else to do."""
        for what, figures, allowed_s in (
            ("livez", self.livez_s, LIVEZ_P99_MAX_S),
            ("list", self.list_s, LIST_P99_MAX_S),
            ("the event loop's work for a livez", self.work_s, WORK_MAX_S),
        ):
            if not figures[1] <= allowed_s:
                yield f"{self.name}: p99 of {what} {figures[1] * 1000:.0f} ms; {allowed_s * 1000:.0f} allowed"

    def cells(self) -> tuple[str, ...]:
        """As a line of a table."""
        figures = [
            f"{p50_s * 1000:.1f} / {p99_s * 1000:.1f} / {most_s * 1000:.0f}"
            for p50_s, p99_s, most_s in (self.livez_s, self.list_s, self.work_s)
        ]
        memory = f"{self.first_bytes / MEBIBYTE:.0f} → {self.peak_bytes / MEBIBYTE:.0f}"
        answers = ", ".join(f"{name} {count}" for name, count in [*self.answers.items()][:9])
        return self.name, *figures, memory, str(sum(self.refusals.values())), answers


class HonestClient:
    """Measures a marketplace, one request after the other."""

    def __init__(self, url: str, pid: int, session: aiohttp.ClientSession) -> None:
        self._url, self._pid, self._session = url, pid, session
        self.work_s: list[float] = []
        self.seconds: dict[str, list[float]] = {name: [] for name in PROBES}
        self.refusals: dict[str, int] = {}

    async def measure(self) -> None:
        """Request and wait in turn, until cancelled."""
        while True:
            for name, path in PROBES.items():
                began_s, worked_s = CLOCK.monotonic(), loop_work_s(self._pid)
                try:
                    async with self._session.get(self._url + path) as answer:
                        await answer.read()
                    problem = "" if answer.status in {200, 206} else str(answer.status)
                except (aiohttp.ClientError, TimeoutError) as error:
                    problem = type(error).__name__
                self.seconds[name].append(CLOCK.monotonic() - began_s)
                if name == "livez":
                    self.work_s.append(loop_work_s(self._pid) - worked_s)
                if problem:
                    self.refusals[problem] = self.refusals.get(problem, 0) + 1
                await CLOCK.sleep(PROBE_PAUSE_S)


def loop_work_s(pid: int) -> float:
    """Processor time that the main thread of a process has used so far; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


async def under(name: str, member: RunningMember, tokens: Path, seed: int, seconds: float) -> AttackRow:
    """One attack for a time, with an honest client beside it; `NOTHING` is the client alone."""
    assert member.process is not None
    sizes = [resident_bytes(member.process.pid)]
    before = log_row(member.name, member.log).tracebacks
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        client = HonestClient(member.url, member.process.pid, session)
        measuring = asyncio.create_task(client.measure())
        answers: dict[str, int] = {}
        try:
            async with attacking(name, member, tokens, seed, answers):
                end_s = CLOCK.monotonic() + seconds
                while CLOCK.monotonic() < end_s or len(client.work_s) < SAMPLES_MIN:
                    await CLOCK.sleep(0.2)
                    sizes.append(resident_bytes(member.process.pid))
        finally:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
    return AttackRow(
        name,
        quantiles(client.seconds["livez"]),
        quantiles(client.seconds["list"]),
        quantiles(client.work_s),
        client.refusals,
        sizes[0],
        max(sizes),
        answers,
        log_row(member.name, member.log).tracebacks - before,
    )


@contextlib.asynccontextmanager
async def attacking(
    name: str, member: RunningMember, tokens: Path, seed: int, answers: dict[str, int]
) -> AsyncIterator[None]:
    """An attacker beside the block; how it was answered is added to `answers`."""
    if name == NOTHING:
        yield
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.soak.http_attacks", name, str(member.port), str(tokens), str(seed)),
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        reported, _ = await process.communicate()
    assert process.returncode == 0, f"the attacker {name} ended with {process.returncode}"
    answers.update(msgspec.json.decode(reported, type=dict[str, int]))


def issue_tokens(member: RunningMember, file: Path) -> Path:
    """A file with tokens for an attacker."""
    reader, provider = (
        issue_folder_token(member.folder, "attacker", [role], TOKEN_EXPIRES_IN_S, CLOCK, os.urandom)
        for role in ("reader", "provider")
    )
    file.write_bytes(msgspec.json.encode(Tokens(reader, provider)))
    return file


async def fill(member: RunningMember, count: int) -> None:
    """Create offerings with some text, each of which refers to another."""
    draw = random.Random(count)
    words = ["cloud", "edge", "storage", "a1b2", "b a b", "12 34 56", "aaaaaaaaaa"]
    created: list[str] = []

    async def create(numbers: range) -> None:
        for number in numbers:
            text = ""
            while len(text) < DESCRIPTION_CHARS:
                text += draw.choice(words) + " "
            other: dict[str, Any] = {}
            if created:
                other = {"bundledProductOffering": [{"id": draw.choice(created), "name": "x"}]}
            created.append(await member.create_offering(name=f"n {number}", description=text, **other))

    await asyncio.gather(
        *(create(range(start, count, CREATES_IN_FLIGHT)) for start in range(CREATES_IN_FLIGHT))
    )


async def run_campaign(
    folder: Path, names: Sequence[str], seconds: float, entities: int = ENTITIES, members: int = 1
) -> list[AttackRow]:
    """A row for each of the attacks, after that without any."""
    rows = []
    async with league(folder, members) as made:
        member = made[0]
        tokens = issue_tokens(member, folder / "tokens.json")
        await fill(member, entities)
        for seed, name in enumerate((NOTHING, *names)):
            rows.append(await under(name, member, tokens, seed, seconds))
            sys.stderr.write(" | ".join(rows[-1].cells()) + "\n")
    return rows


def report(rows: Sequence[AttackRow]) -> Iterator[str]:
    """The rows as a table, and what does not hold."""
    head = (
        "attack",
        "livez p50 / p99 / most, ms",
        "list, ms",
        "loop, ms",
        "server, MiB",
        "refused",
        "answers",
    )
    yield from table(head, [row.cells() for row in rows])
    for row in rows:
        yield from row.failures()
        yield from row.delays()


def main() -> None:
    """Run a campaign, and print its report."""
    parser = argparse.ArgumentParser(description="A marketplace under attack.")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--entities", type=int, default=ENTITIES)
    parser.add_argument("--members", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        attacks = chosen.attacks or [*ATTACKS]
        assert ATTACKS.keys() >= {*attacks}, f"the attacks are {', '.join(ATTACKS)}"
        made = run_campaign(Path(folder) / "league", attacks, chosen.seconds, chosen.entities, chosen.members)
        sys.stdout.write("\n".join(report(asyncio.run(made))) + "\n")


if __name__ == "__main__":
    main()
