"""Four marketplaces as real processes: what is offered at one is found at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hansa.cli.keys.rotating import rotate_agreement_key
from hansa.cli.output import Output
from hansa.core.limits import Limits
from hansa.node.folder import CARD, LEDGER, LEDGER_STATE, read_card
from hansa.node.validator.repair import repair_engine
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET
from tests.league.harness import CLOCK, OFFERINGS, ROLES, League, Role, RunningMember, league, wait_until

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[League]:
    """Four members, for all tests of this module."""
    async with league(tmp_path_factory.mktemp("four") / "league", 4) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def four(members: League) -> League:
    """Four members, running and ready."""
    for member in members.members:
        await member.wait_until_ready()
    return members


async def test_an_offering_posted_at_one_is_visible_at_all(four: League) -> None:
    for member in four.members:
        created = await member.create_offering(name=f"from {member.name}")
        await four.wait_until_visible(f"{OFFERINGS}/{created}")


@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_member_catches_up_with_the_others(four: League, role: Role) -> None:
    victim, witness = four[0], four[1]
    before = await victim.create_offering(name="before")
    await victim.kill(role)
    meanwhile = await witness.create_offering(name="meanwhile")
    if role == "serve":
        await victim.start()
    await victim.wait_until_ready()
    after = await victim.create_offering(name="after")
    for created in (before, meanwhile, after):
        await four.wait_until_visible(f"{OFFERINGS}/{created}")


async def test_a_member_whose_engine_hangs_is_back_by_itself(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, {"engine_stall_s": 2.0}) as members:
        victim, witness = members[0], members[1]
        before = await victim.create_offering(name="before")
        await members.wait_until_visible(f"{OFFERINGS}/{before}")  # an engine may be long silent at its start
        await victim.hang("cometbft")
        created = await witness.create_offering(name="meanwhile")
        await members.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=60)
        children = (await victim.status())["children"]
        assert {child["name"]: child["starts"] for child in children} == {"ledger": 1, "cometbft": 2}


async def test_an_engine_knows_how_far_its_peers_are(four: League) -> None:
    created = await four[0].create_offering()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")
    bus = CometBftBus(four[0].folder / LEDGER / RPC_SOCKET, four[0].folder / LEDGER_STATE, CLOCK, Limits())

    async def are_level() -> bool:
        progress = await bus.progress()
        return progress.height > 0 and progress.peer_heights == (progress.height,) * 3

    try:
        await wait_until(are_level, "the engine and its peers are at one height", 30.0, four.members)
    finally:
        await bus.close()


ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"


async def test_an_order_is_at_its_parties_and_at_nobody_else(four: League) -> None:
    lubeck, bergen, riga, bruges = four.members
    dids = [read_card(member.folder / CARD).member.did for member in (lubeck, bergen)]
    roles = zip(("BuyerOperator", "SellerOperator"), dids, strict=True)
    order = {
        "description": "ninety-nine forklifts",
        "productOrderItem": [{"id": "1", "action": "add"}],
        "relatedParty": [{"id": f"urn:party:{role}", "role": role, "name": did} for role, did in roles],
    }
    answer = await lubeck.post(ORDERS, order)
    assert answer.status == 201, answer.body
    path = f"{ORDERS}/{answer.json()['id']}"

    async def is_at_the_seller() -> bool:
        return (await bergen.get(path, with_token=True)).status == 200

    await wait_until(is_at_the_seller, "the order is at the seller's marketplace", 30.0, four.members)
    assert (await bergen.get(path, with_token=True)).json()["description"] == order["description"]
    assert (await bergen.get(path)).status in {401, 404}
    witness = await lubeck.create_offering(name="after the order")
    await four.wait_until_visible(f"{OFFERINGS}/{witness}")
    for member in (riga, bruges):
        assert (await member.get(path, with_token=True)).status == 404
    secrets = [answer.json()["id"].encode(), b"ninety-nine forklifts", dids[1].encode() + b'","role"']
    for member in (lubeck, riga, bruges):
        stores = (member.folder / LEDGER, *([member.folder] if member is not lubeck else []))
        content = b"".join(one.read_bytes() for folder in stores for one in folder.glob("*.db*"))
        assert len(content) > 10_000
        assert [secret for secret in secrets if secret in content] == [], member.name

    before = await registered_key(bergen)
    await asyncio.to_thread(rotate_agreement_key, bergen.folder, Output(as_json=True))
    changed = await lubeck.request("PATCH", path, b'{"description":"a hundred"}', with_token=True)
    assert changed.status == 200, changed.body

    async def is_changed_at_the_seller() -> bool:
        seen = await bergen.get(path, with_token=True)
        return seen.status == 200 and seen.json()["description"] == "a hundred"

    await wait_until(is_changed_at_the_seller, "the change is at the seller's", 30.0, four.members)
    assert await registered_key(bergen) not in {before, ""}


async def registered_key(member: RunningMember) -> str:
    """The key for which events are sealed for a member."""
    did = read_card(member.folder / CARD).member.did
    members = (await member.get("/league/v1/members")).json()
    return next(str(one.get("agreement_key", "")) for one in members if one["did"] == did)


async def test_three_members_go_on_without_the_fourth(four: League) -> None:
    await four[3].stop()
    rest = League(four.members[:3])
    created = await four[0].create_offering()
    await rest.wait_until_visible(f"{OFFERINGS}/{created}")
    await four[3].start()
    await four.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=60)


@pytest.mark.parametrize("way", ["rebuilds_ledger", "fetches_blocks"])
async def test_a_member_that_makes_its_ledger_anew_has_the_same_one(four: League, way: str) -> None:
    victim = four[2]
    assert await victim.stop() == 0
    moved = {move.path for move in repair_engine(victim.folder, CLOCK, **{way: True})}
    assert str(LEDGER_STATE) in moved
    await victim.start()
    await victim.wait_until_ready()
    created = await victim.create_offering()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")

    async def is_same() -> bool:
        reports = [await member.status() for member in (four[0], victim)]
        return len({(report["height"], report["position"], report["app_hash"]) for report in reports}) == 1

    await wait_until(is_same, "the ledgers are the same", 30.0, four.members)
