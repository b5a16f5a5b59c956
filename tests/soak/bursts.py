"""Bursts of changes in a league of four while the processes of one member are killed and stopped in turn.

`python -m tests.soak.bursts [--changes N …]` runs a burst of each size in a league of its own, and prints
for each how long it took until everything was acknowledged, and until all stores were equal. What has to
hold: what was acknowledged is there, nothing is there twice, and the stores of all members are equal.

Clients write at all members: they create offerings, change and delete some of them. A write is sent again
under the same key until it is acknowledged, as clients do. The sixths of a burst each begin with a
disturbance: the server, the ledger or the engine of the last member is killed, or stopped for `STOPPED_S`.
Disturbances go on as long as anything is not acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.node.folder import STORE
from tests.league.harness import (
    CLOCK,
    OFFERINGS,
    ROLES,
    UNANSWERED,
    Answer,
    League,
    Role,
    RunningMember,
    league,
    wait_until,
)
from tests.soak.measurements import table

MEMBERS: Final = 4
SIZES: Final = (1000, 10_000)
CLIENTS_PER_MEMBER: Final = 6
CHANGED: Final = 0.3
"""Share of the changes that change an offering."""
DELETED: Final = 0.05
STOPPED_S: Final = 1.5
DISTURBANCES: Final[tuple[tuple[Role, str], ...]] = tuple(itertools.product(ROLES, ("killed", "stopped")))
AGAIN_S: Final = 0.2
LATER: Final = frozenset({409, 429, 503, 504})
"""Answers after which a client sends its request again."""
ANSWER_MAX_S: Final = 10.0
EQUAL_MAX_S: Final = 600.0


class Offering(msgspec.Struct):
    """What a client knows of an offering of its own."""

    member: int
    marker: str
    """In it, and in no other one."""
    id: str = ""
    name: str = ""
    is_deleted: bool = False


class BurstRow(msgspec.Struct, frozen=True):
    """What became of a burst."""

    changes: int
    acknowledged_s: float
    """Until the last change was acknowledged."""
    equal_s: float
    """From the end of the last disturbance until all stores were equal."""
    repeated: int
    """Requests that were sent again."""
    answer_p50_s: float
    answer_p99_s: float
    """From the first request of a change to its acknowledgement."""
    disturbances: tuple[str, ...]
    offerings: int
    problems: tuple[str, ...]

    def cells(self) -> tuple[str, ...]:
        """As a line of a table."""
        return (
            f"{self.changes:,}",
            f"{self.acknowledged_s:.1f}",
            f"{self.changes / self.acknowledged_s:.0f}",
            f"{self.equal_s:.1f}",
            f"{self.answer_p50_s * 1000:.0f} / {self.answer_p99_s * 1000:.0f}",
            str(self.repeated),
            str(len(self.disturbances)),
            f"{self.offerings:,}",
            str(len(self.problems)),
        )


class Burst:
    """One burst.

    Args:
        made: The league.
        changes: How many.
    """

    def __init__(self, made: League, changes: int) -> None:
        self._league = made
        self._changes = changes
        self._numbers = iter(range(changes))
        self._begun = asyncio.Event()
        self._allowed = 0
        self._victim = made[MEMBERS - 1]
        self._begun_s = CLOCK.monotonic()
        self.acknowledged_s: float | None = None
        """When everything was acknowledged, since the burst began."""
        self.offerings: list[Offering] = []
        self.repeated = 0
        self.answers_s: list[float] = []
        self.disturbances: list[str] = []

    # -- clients -------------------------------------------------------------------------------------------

    async def write_all(self) -> None:
        """Write until everything is acknowledged."""
        clients = range(MEMBERS * CLIENTS_PER_MEMBER)
        await asyncio.gather(*(self._write(client % MEMBERS, random.Random(client)) for client in clients))
        self.acknowledged_s = CLOCK.monotonic() - self._begun_s

    async def _write(self, member: int, draw: random.Random) -> None:
        own: list[Offering] = []
        for number in self._numbers:
            while number >= self._allowed:
                self._begun.clear()
                await self._begun.wait()
            began_s = CLOCK.monotonic()
            kind = draw.random()
            known = [one for one in own if not one.is_deleted]
            if known and kind < DELETED:
                await self._delete(draw.choice(known), number)
            elif known and kind < DELETED + CHANGED:
                await self._change(draw.choice(known), number)
            else:
                own.append(await self._create(member, number))
            self.answers_s.append(CLOCK.monotonic() - began_s)
        self.offerings += own

    async def _create(self, member: int, number: int) -> Offering:
        one = Offering(member, f"marker-{number:06d}-", name=f"n{number}")
        body = {"name": one.name, "description": one.marker, "lifecycleStatus": "Launched"}
        answer = await self._until(member, "POST", OFFERINGS, body, number, {201})
        one.id = answer.json()["id"]
        return one

    async def _change(self, one: Offering, number: int) -> None:
        await self._until(one.member, "PATCH", f"{OFFERINGS}/{one.id}", {"name": f"n{number}"}, number, {200})
        one.name = f"n{number}"

    async def _delete(self, one: Offering, number: int) -> None:
        await self._until(one.member, "DELETE", f"{OFFERINGS}/{one.id}", None, number, {204, 404})
        one.is_deleted = True

    async def _until(
        self, member: int, method: str, path: str, body: Any, number: int, done: set[int]
    ) -> Answer:
        """Send a request again and again until it is acknowledged; no answer but `LATER` is in its way."""
        at = self._league[member]
        while True:
            try:
                answer = await at.request(
                    *(method, path, body),
                    with_token=True,
                    headers={"Idempotency-Key": f"burst-{number}"},
                    timeout_s=ANSWER_MAX_S,
                )
            except UNANSWERED:
                answer = None
            if answer is not None and answer.status in done:
                return answer
            assert answer is None or answer.status in LATER, f"{method} {path} at {at.name}: {answer.status}"
            self.repeated += 1
            await CLOCK.sleep(AGAIN_S)

    # -- disturbances --------------------------------------------------------------------------------------

    async def disturb(self) -> None:
        """Kill and stop the processes of the last member in turn, each once, until all is written."""
        for n, (role, way) in enumerate(itertools.cycle(DISTURBANCES), 1):
            begun = asyncio.create_task(self._disturb(role, way))
            self._allowed = (
                self._changes if n >= len(DISTURBANCES) else self._changes * n // len(DISTURBANCES)
            )
            self._begun.set()
            await begun
            self.disturbances.append(f"{role} {way}")
            if n >= len(DISTURBANCES) and self.acknowledged_s is not None:
                return

    async def _disturb(self, role: Role, way: str) -> None:
        if way == "killed":
            await self._victim.kill(role)
            if role == "serve":
                await self._victim.start()
        else:
            await self._victim.hang(role)
            await CLOCK.sleep(STOPPED_S)
            await self._victim.wake(role)
        await self._victim.wait_until_ready()


async def run_burst(folder: Path, changes: int) -> BurstRow:
    """What became of a burst in a league of its own."""
    async with league(folder, MEMBERS) as made:
        burst = Burst(made, changes)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(burst.disturb())
            tasks.create_task(burst.write_all())
        ended_s = CLOCK.monotonic()
        assert burst.acknowledged_s is not None, "all was written"

        async def are_equal() -> bool:
            stores = [catalogue(member) for member in made.members]
            return all(one == stores[0] for one in stores)

        problems: list[str] = []
        try:
            await wait_until(are_equal, "all stores are equal", EQUAL_MAX_S, made.members)
        except AssertionError as error:
            problems.append(str(error))
        equal_s = CLOCK.monotonic() - ended_s
        problems += differences(burst.offerings, catalogue(made[0]))
        quantiles = statistics.quantiles(burst.answers_s, n=100)
        return BurstRow(
            *(changes, burst.acknowledged_s, equal_s, burst.repeated, quantiles[49], quantiles[98]),
            *(tuple(burst.disturbances), sum(not one.is_deleted for one in burst.offerings), tuple(problems)),
        )


def catalogue(member: RunningMember) -> dict[str, bytes]:
    """The offerings in the store of a member, by identifier."""
    with closing(sqlite3.connect(f"file:{member.folder / STORE}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT id, body FROM entity WHERE type = 'ProductOffering'").fetchall()
    return dict(rows)


def differences(offerings: Sequence[Offering], stored: dict[str, bytes]) -> Iterator[str]:
    """What was acknowledged and is not so, and what is there twice."""
    names = {id: msgspec.json.decode(body) for id, body in stored.items()}
    counts = Counter(fields["description"] for fields in names.values())
    for one in offerings:
        fields = names.get(one.id)
        if one.is_deleted:
            if fields is not None:
                yield f"{one.id} was deleted, and is there"
        elif fields is None:
            yield f"{one.id} is lost"
        elif fields["name"] != one.name:
            yield f"{one.id} is called {fields['name']}; {one.name} was acknowledged"
        if counts[one.marker] != (0 if one.is_deleted else 1):
            yield f"{one.marker} is there {counts[one.marker]} times"
    known = {one.id for one in offerings}
    yield from (f"{each} is there, and nobody created it" for each in names.keys() - known)


def report(rows: Sequence[BurstRow]) -> Iterator[str]:
    """The rows as a table, and what does not hold."""
    head = (
        *("changes", "acknowledged, s", "changes/s", "equal after, s", "answer p50 / p99, ms"),
        *("repeated", "disturbances", "offerings", "problems"),
    )
    yield from table(head, [row.cells() for row in rows])
    for row in rows:
        counts = Counter(row.disturbances)
        yield f"{row.changes:,}: " + ", ".join(f"{name} {count}" for name, count in counts.items())
        yield from row.problems


def main() -> int:
    """Run bursts, and print their report; 1 when something does not hold."""
    parser = argparse.ArgumentParser(description="Bursts of changes while processes are killed and stopped.")
    parser.add_argument("--changes", type=int, nargs="+", default=SIZES)
    chosen = parser.parse_args()
    rows = []
    for changes in chosen.changes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(asyncio.run(run_burst(Path(folder) / "league", changes)))
        sys.stdout.write("\n".join(report(rows[-1:])) + "\n")
        sys.stdout.flush()
    return int(any(row.problems for row in rows))


if __name__ == "__main__":
    sys.exit(main())
