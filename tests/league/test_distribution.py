"""Conditions that change, closure, and an entity that changes all the time, in one league of real processes.

The tests share the league, and each makes what it needs. The first member is the origin of everything, and
the third has conditions.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hansa.core.canonical import hashlink
from hansa.core.identifiers import entity_key
from tests.league.harness import CLOCK, OFFERINGS, League, RunningMember, league, wait_until
from tests.league.offerings import PATIENCE_S, name_at, named, shared

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]

SPECIFICATIONS = OFFERINGS.replace("productOffering", "productSpecification")
CHANGES_PER_S = 25
CHANGES = 75
EVENTS_MIN = 5
EVERYTHING = '@id("all") permit (principal, action, resource);\n'
RETIRED = (
    '@id("retired") forbid (principal, action, resource) when { context.lifecycleStatus == "Retired" };\n'
)
NO_SPECIFICATIONS = '@id("none") forbid (principal, action, resource == Type::"ProductSpecification");\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[League]:
    async with league(tmp_path_factory.mktemp("distribution"), 3) as made:
        yield made


async def change(member: RunningMember, path: str, **attributes: Any) -> Any:
    answer = await member.request("PATCH", path, attributes, with_token=True)
    assert answer.status == 200, answer.body
    return answer


async def events_of(members: League, path: str) -> list[Any]:
    """What the ledger has about an entity of the first member."""
    key = entity_key((await members[0].status())["did"], path.rpartition("/")[2])
    return list((await members[0].get(f"/league/v1/events?entity={key}")).json()["events"])


@contextlib.asynccontextmanager
async def conditions(member: RunningMember, file: str, text: str) -> AsyncIterator[None]:
    """Conditions of an operator, who removes them in the end; the member reads no half of a file."""
    path = member.folder / "policies" / file
    path.parent.mkdir(exist_ok=True)
    whole = Path(f"{path}.new")
    whole.write_text(text)
    whole.replace(path)
    try:
        yield
    finally:
        path.unlink()


async def test_other_conditions_are_applied_to_the_past_while_it_runs(members: League) -> None:
    plain = await shared(members, name="plain")
    retired = await shared(members, name="old", lifecycleStatus="Retired")
    async with conditions(members[2], "consume.cedar", EVERYTHING + RETIRED):
        await named(members[2], retired, None)
        why = await members[2].get(f"/league/v1/replicas/{retired.rpartition('/')[2]}", with_token=True)
        assert "consume.cedar#retired" in json.dumps(why.json())
        assert await name_at(members[1], retired) == "old"
    await named(members[2], retired, "old")
    async with conditions(members[0], "publish.cedar", EVERYTHING + RETIRED):
        await named(members[1], retired, None)
        await named(members[2], retired, None)
        answer = await change(members[0], retired, name="still old")
        assert answer.headers["hansa-publication"] == "here; reason=publish.cedar#retired"
        assert await name_at(members[0], retired) == "still old"
    for member in members.members[1:]:
        await named(member, retired, "still old")
        assert await name_at(member, plain) == "plain"


async def test_an_offering_whose_specification_comes_later_waits_and_is_then_complete(
    members: League,
) -> None:
    created = await members[0].post(SPECIFICATIONS, {"name": "a probe", "lifecycleStatus": "Launched"})
    probe = f"{SPECIFICATIONS}/{created.json()['id']}"
    await members.wait_until_visible(probe, PATIENCE_S)
    async with conditions(members[2], "consume.cedar", EVERYTHING + NO_SPECIFICATIONS):
        await named(members[2], probe, None)  # the conditions are adopted
        made = await members[0].post(SPECIFICATIONS, {"name": "specified", "lifecycleStatus": "In study"})
        specification = made.json()["id"]
        needing = await members[0].create_offering(
            name="needs it", productSpecification={"id": specification}
        )
        offering = f"{OFFERINGS}/{needing}"
        await shared(members, name="after it")
        assert await events_of(members, offering) == [], "it waits for its specification"
        await change(members[0], f"{SPECIFICATIONS}/{specification}", lifecycleStatus="Launched")
        await named(members[1], offering, "needs it")
        await named(members[2], offering, "needs it")

        async def is_waiting() -> bool:
            return (await members[2].get(offering)).headers.get("hansa-closure") == "waiting"

        await wait_until(is_waiting, "the offering waits for its specification", PATIENCE_S, [members[2]])

    async def is_complete() -> bool:
        answers = [await member.get(offering) for member in members.members[1:]]
        return all(one.status == 200 and "hansa-closure" not in one.headers for one in answers)

    await wait_until(is_complete, "the offering is complete", PATIENCE_S, members.members)
    for member in members.members[1:]:
        await named(member, f"{SPECIFICATIONS}/{specification}", "specified")


async def test_an_entity_that_changes_all_the_time_arrives_while_it_does(members: League) -> None:
    path = await shared(members, name="0")
    written_s: dict[int, float] = {0: CLOCK.monotonic()}
    ages_s: list[float] = []

    async def change_often() -> None:
        begin_s = CLOCK.monotonic()
        for n in range(1, CHANGES + 1):
            await CLOCK.sleep(max(0.0, begin_s + n / CHANGES_PER_S - CLOCK.monotonic()))
            await change(members[0], path, name=str(n))
            written_s[n] = CLOCK.monotonic()

    async def look() -> None:
        while True:
            name = await name_at(members[2], path)
            assert name is not None
            successor_s = written_s.get(int(name) + 1)
            ages_s.append(0.0 if successor_s is None else CLOCK.monotonic() - successor_s)
            await CLOCK.sleep(0.02)

    looking = asyncio.create_task(look())
    await change_often()
    looking.cancel()
    results = await asyncio.gather(looking, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results
    await named(members[2], path, str(CHANGES))
    p99_s = sorted(ages_s)[len(ages_s) * 99 // 100]
    announced = await events_of(members, path)
    took_s = written_s[CHANGES] - written_s[1]
    sys.stdout.write(
        f"{(CHANGES - 1) / took_s:.1f} changes/s, {len(announced)} events: what is shown is p99 {p99_s:.2f} s old\n"
    )
    assert len(announced) >= EVENTS_MIN
    for each in announced:
        event = each["event"]
        answer = await members[0].get(f"/league/v1/entities/{event['entity']['key']}?hl={event['hashlink']}")
        assert answer.status == 200, f"version {event['entity']['version']} of {len(announced)}"
        assert hashlink(answer.body) == event["hashlink"]
