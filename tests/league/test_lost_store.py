"""A marketplace whose store is lost takes its own entities back from the league, and goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from hansa.core.identifiers import entity_key
from tests.league.harness import OFFERINGS, League, RunningMember, league, wait_until

pytestmark = pytest.mark.league

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
OFFERED = 25
PATIENCE_S = 90.0


async def created(member: RunningMember, path: str, **attributes: Any) -> str:
    answer = await member.post(path, attributes)
    assert answer.status == 201, answer.body
    return f"{path}/{answer.json()['id']}"


async def content(member: RunningMember, path: str) -> dict[str, Any] | None:
    """What a member has of an entity, without where it is; None: nothing."""
    answer = await member.get(path, with_token=True)
    if answer.status != 200:
        return None
    return {name: value for name, value in answer.json().items() if name != "href"}


async def order_of(member: RunningMember, buyer: str, **attributes: Any) -> str:
    did = (await member.status())["did"]
    parties = [
        {"id": f"urn:party:{role}", "role": role, "name": one}
        for role, one in (("SellerOperator", did), ("BuyerOperator", buyer))
    ]
    item = {"id": "1", "action": "add"}
    return await created(member, ORDERS, productOrderItem=[item], relatedParty=parties, **attributes)


async def restore(member: RunningMember) -> dict[str, Any]:
    """What `hansa restore --from-league` says of a member that runs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hansa.cli", "restore", "--from-league", member.url, "--json"),
        env={**os.environ, "HANSA_TOKEN": member.token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, messages = await process.communicate()
    assert process.returncode == 0, (output, messages)
    report: dict[str, Any] = json.loads(output)
    return report


async def until_equal(members: League, path: str, expected: dict[str, Any] | None, *places: int) -> None:
    async def is_equal() -> bool:
        return all([await content(members[place], path) == expected for place in places])

    await wait_until(is_equal, f"{path} is {expected} at {places}", PATIENCE_S, members.members)


def lose_store(member: RunningMember) -> None:
    for path in member.folder.glob("store.db*"):
        path.unlink()


@pytest.mark.slow
async def test_a_lost_store_is_taken_back_from_the_league_verified_and_goes_on(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4) as made:
        lubeck, bergen = made[0], made[1]
        buyer = (await bergen.status())["did"]
        offered = [
            await created(lubeck, OFFERINGS, name=f"offering {n}", lifecycleStatus="Launched")
            for n in range(OFFERED)
        ]
        renamed = await lubeck.request("PATCH", offered[0], {"name": "renamed"}, with_token=True)
        assert renamed.status == 200
        deleted = await lubeck.request("DELETE", offered[1], with_token=True)
        assert deleted.status == 204
        order = await order_of(lubeck, buyer, description="ninety-nine forklifts")
        withdrawn = await order_of(lubeck, buyer, description="none")
        await until_equal(made, order, await content(lubeck, order), 1)
        await until_equal(made, withdrawn, await content(lubeck, withdrawn), 1)
        assert (await lubeck.request("DELETE", withdrawn, with_token=True)).status == 204
        await until_equal(made, withdrawn, None, 1)
        paths = [*offered, order]
        before = {path: await content(lubeck, path) for path in paths}
        for path in offered:
            await until_equal(made, path, before[path], 1, 2, 3)
        end = (await lubeck.status())["position"]

        assert await lubeck.stop() == 0
        lose_store(lubeck)
        await lubeck.start()
        await lubeck.wait_until_ready()
        assert [await content(lubeck, path) for path in paths] == [None] * len(paths)
        report = await restore(lubeck)
        assert (report["lost"], report["restored"], report["missing"]) == (OFFERED - 1, OFFERED - 1, 0)
        assert report["confidential"]["restored"] == 1
        assert report["confidential"]["unopened"] == report["confidential"]["missing"] == 0
        assert [one["wrong"] for one in report["sources"]] == [0, 0, 0]
        assert {path: await content(lubeck, path) for path in paths} == before
        assert await content(lubeck, withdrawn) is None

        async def is_settled() -> bool:
            return bool((await lubeck.status())["unpublished"] == 0)

        await wait_until(is_settled, "what came back is settled", PATIENCE_S, made.members)
        events = (await lubeck.get(f"/league/v1/events?after={end}")).json()["events"]
        assert {one["event"]["entity"]["type"] for one in events} <= {"Confidential", "AuditAnchor"}

        for path, name in ((offered[0], "renamed again"), (offered[2], "renamed as well")):
            answer = await lubeck.request("PATCH", path, {"name": name}, with_token=True)
            assert answer.status == 200
            await until_equal(made, path, await content(lubeck, path), 1, 2, 3)
        assert (await lubeck.request("DELETE", offered[3], with_token=True)).status == 204
        await until_equal(made, offered[3], None, 1, 2, 3)
        answer = await lubeck.request("PATCH", order, {"description": "a hundred"}, with_token=True)
        assert answer.status == 200
        await until_equal(made, order, await content(lubeck, order), 1)
        for other in (made[2], made[3]):
            assert await content(other, order) is None
        did = (await lubeck.status())["did"]
        key = entity_key(did, offered[0].rpartition("/")[2])
        of_entity = (await lubeck.get(f"/league/v1/events?entity={key}")).json()["events"]
        assert [one["event"]["entity"]["version"] for one in of_entity] == [1, 2, 3]
        again = await restore(lubeck)
        assert (again["lost"], again["restored"], again["confidential"]["restored"]) == (0, 0, 0)
