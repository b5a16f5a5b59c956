"""Writes to confidential replicas: carried out for recipients whom a rule lets write, and for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from hansa.business.operations.forwarding.receiving import ForwardedWrites
from hansa.business.visibility import PublicParts
from hansa.core.access import PROVIDER, Caller
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import Actor, ForwardedWrite
from hansa.core.http import JSON
from hansa.store.tables.confidential import received
from tests.support.asgi import Response
from tests.support.business import MODELS
from tests.support.confidential import party, settle
from tests.support.forwarding import OFFERINGS, ForwardingLeague, ForwardingMember, send

ORDERS = "/tmf-api/productOrderingManagement/v4/productOrder"
CANCELLATIONS = "/tmf-api/productOrderingManagement/v4/cancelProductOrder"
ORGANIZATIONS = "/tmf-api/party/v4/organization"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
DONE = {"description": "delivered"}


@pytest.fixture
async def league() -> AsyncIterator[ForwardingLeague]:
    """The buyer's operator, where orders have their origin; the seller's; a stranger."""
    async with ForwardingLeague(3) as league:
        yield league


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


def parties(*members: ForwardingMember) -> list[dict[str, str]]:
    roles = ("Buyer", "Seller", "SellerOperator")
    return [party(role, one.did) for role, one in zip(roles, members, strict=False)]


async def ordered(league: ForwardingLeague, **fields: Any) -> str:
    """Place an order at the first member, for the second as seller's operator, which gets it; its path."""
    origin, seller, _ = league.members
    body = {"productOrderItem": [{"id": "1", "action": "add"}], "relatedParty": parties(origin, seller)}
    answer = await origin.ada.post(ORDERS, body | fields)
    assert answer.status == 201, answer.body
    await settle(league.league)
    return f"{ORDERS}/{answer.json()['id']}"


async def order_at(member: ForwardingMember, path: str) -> dict[str, Any]:
    order: dict[str, Any] = (await member.ada.get(path)).json()
    return order


def change_of(path: str, content: bytes, key: str = "k", form: str = MERGE) -> ForwardedWrite:
    return ForwardedWrite(
        *("PATCH", path, "TMF622", "ProductOrder", key, path.rpartition("/")[2]), form=form, content=content
    )


async def test_a_recipient_changes_an_order_at_its_origin_and_sees_it_when_replication_brings_it(
    league: ForwardingLeague,
) -> None:
    path = await ordered(league)
    origin, seller, stranger = league.members
    answer = await league.done(seller.ada.patch(path, DONE))
    assert answer.status == 200, answer.body
    assert answer.json()["description"] == "delivered"
    assert (await order_at(origin, path))["description"] == "delivered"
    waited = await league.done(seller.ada.get(f"{path}?min-position={answer.headers['hansa-position']}"))
    assert waited.json()["description"] == "delivered"
    assert waited.headers["etag"] == answer.headers["etag"]
    assert (await stranger.ada.get(path)).status == 404


async def test_a_position_is_that_of_the_event_for_the_member_that_wrote(league: ForwardingLeague) -> None:
    path = await ordered(league)
    seller = league.members[1]
    answer = await league.done(seller.ada.patch(path, DONE))
    await settle(league.league)
    (head,) = await received.page(seller.marketplace.store, ("stored",), 0, 10)
    assert head.position == int(answer.headers["hansa-position"])


async def test_a_recipient_deletes_an_order_and_loses_it(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, seller, _ = league.members
    answer = await league.done(seller.ada.delete(path))
    assert answer.status == 204, answer.body
    assert (await origin.ada.get(path)).status == 404
    waited = await league.done(seller.ada.get(f"{path}?min-position={answer.headers['hansa-position']}"))
    assert waited.status == 404


async def test_an_old_version_is_not_overwritten(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, seller, _ = league.members
    old = {"if-match": (await seller.ada.get(path)).headers["etag"]}
    assert (await origin.ada.patch(path, {"description": "first"})).status == 200
    assert code_of(await league.done(seller.ada.patch(path, DONE, headers=old))) == (
        412,
        "precondition-failed",
    )
    await settle(league.league)
    new = {"if-match": (await seller.ada.get(path)).headers["etag"]}
    assert (await league.done(seller.ada.patch(path, DONE, headers=new))).status == 200


async def test_a_recipient_without_a_rule_writes_nothing() -> None:
    async with ForwardingLeague(3, rules={0: ("* ProductOffering *", "* ProductOrder delete")}) as league:
        path = await ordered(league)
        origin, seller, _ = league.members
        assert code_of(await league.done(seller.ada.patch(path, DONE))) == (403, "forbidden")
        assert "description" not in await order_at(origin, path)


async def test_a_stranger_is_answered_as_if_there_were_no_order(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, _, stranger = league.members
    none = f"{ORDERS}/urn:ngsi-ld:product-order:none"
    old = msgspec.structs.replace(change_of(path, b"{}"), versions=("hl:zOld",))
    answers = [
        await send(league, stranger, write)
        for write in (change_of(path, msgspec.json.encode(DONE)), old, change_of(none, b"{}"))
    ]
    assert [code_of(one) for one in answers] == [(404, "not-found")] * 3
    ids = [one.rpartition("/")[2] for one in (path, path, none)]
    messages = {one.json()["message"].replace(each, "ID") for one, each in zip(answers, ids, strict=True)}
    assert len(messages) == 1
    assert "description" not in await order_at(origin, path)


async def test_a_delegation_for_an_order_is_used_once(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, seller, stranger = league.members
    write = change_of(path, msgspec.json.encode(DONE))
    delegation = seller.delegations.delegation(
        origin.did, "0" * 64, Actor(frozenset({"provider"})), write, msgspec.json.encode(write)
    )
    assert code_of(await send(league, stranger, write, delegation=delegation)) == (401, "unauthenticated")
    assert (await send(league, seller, write, delegation=delegation)).status == 200
    assert (await origin.ada.patch(path, {"description": "after"})).status == 200
    assert code_of(await send(league, seller, write, delegation=delegation)) == (401, "unauthenticated")
    assert (await order_at(origin, path))["description"] == "after"


@pytest.mark.parametrize(
    "change",
    [
        lambda league: {"relatedParty": parties(league.members[1])},
        lambda league: {"relatedParty": parties(*league.members)},
        lambda _: {"relatedParty": None},
        lambda league: {
            "relatedParty": [
                party("Buyer", league.members[0].did),
                party("Seller", league.members[1].did)
                | {"partyOrPartyRole": {"name": league.members[2].did}},
            ]
        },
    ],
)
async def test_a_recipient_lets_nobody_in_and_keeps_nobody_out(league: ForwardingLeague, change: Any) -> None:
    path = await ordered(league)
    origin, seller, stranger = league.members
    before = await order_at(origin, path)
    answer = await send(league, seller, change_of(path, msgspec.json.encode(change(league))))
    assert code_of(answer)[0] in {400, 403}, answer.body
    await settle(league.league)
    assert await order_at(origin, path) == before
    assert (await stranger.ada.get(path)).status == 404


async def test_who_is_no_recipient_any_more_writes_nothing_and_learns_no_earlier_answer(
    league: ForwardingLeague,
) -> None:
    path = await ordered(league)
    origin, seller, _ = league.members
    write = change_of(path, msgspec.json.encode(DONE))
    assert (await send(league, seller, write)).status == 200
    assert (await origin.ada.patch(path, {"relatedParty": parties(origin)})).status == 200
    assert code_of(await send(league, seller, write)) == (404, "not-found")
    later = change_of(path, b'{"description":"mine"}', "k2")
    assert code_of(await send(league, seller, later)) == (404, "not-found")
    assert (await order_at(origin, path))["description"] == "delivered"


async def test_a_recipient_that_holds_an_order_takes_no_writes_to_it(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, seller, stranger = league.members
    write = change_of(path, msgspec.json.encode(DONE))
    for sender in (origin, stranger):
        delegation = sender.delegations.delegation(
            seller.did, "0" * 64, Actor(frozenset({"provider"})), write, msgspec.json.encode(write)
        )
        assert (await send(league, sender, write, delegation=delegation, to=seller)).status in {403, 404}
    assert "description" not in await order_at(origin, path)


async def test_only_a_recipient_has_an_order_cancelled(league: ForwardingLeague) -> None:
    path = await ordered(league)
    origin, seller, stranger = league.members
    task = {"productOrder": {"id": path.rpartition("/")[2]}, "cancellationReason": "too late"}
    write = ForwardedWrite(
        *("POST", CANCELLATIONS, "TMF622", "CancelProductOrder", "k"), content=msgspec.json.encode(task)
    )
    assert code_of(await send(league, stranger, write)) == (404, "not-found")
    assert (await order_at(origin, path))["state"] == "acknowledged"
    assert (await send(league, seller, write)).status == 200
    assert (await order_at(origin, path))["state"] == "cancelled"


async def test_an_offering_for_chosen_marketplaces_is_changed_through_these_alone(
    league: ForwardingLeague,
) -> None:
    origin, chosen, other = league.members
    body = {"name": "backup", "lifecycleStatus": "Launched", "visibleTo": [chosen.did]}
    made = await origin.ada.post(OFFERINGS, body)
    assert made.status == 201, made.body
    await settle(league.league)
    path = f"{OFFERINGS}/{made.json()['id']}"
    renamed = await league.done(chosen.ada.patch(path, {"name": "Renamed"}))
    assert renamed.status == 200, renamed.body
    assert await origin.name_of(path) == "Renamed"
    write = ForwardedWrite(
        *("PATCH", path, "TMF620", "ProductOffering", "k", made.json()["id"]),
        form=MERGE,
        content=b'{"name":"x"}',
    )
    assert code_of(await send(league, other, write)) == (404, "not-found")
    for wider in (["everyone"], [chosen.did, other.did], None):
        wide = msgspec.structs.replace(
            write, key=str(wider), content=msgspec.json.encode({"visibleTo": wider})
        )
        assert code_of(await send(league, chosen, wide)) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "form", "content"),
    [
        (
            "PATCH",
            JSON_PATCH,
            [{"op": "copy", "from": "/creditRating/0/creditAgencyName", "path": "/tradingName"}],
        ),
        ("PATCH", JSON_PATCH, [{"op": "test", "path": "/creditRating/0/creditAgencyName", "value": "Dun"}]),
        ("PATCH", JSON_PATCH, [{"op": "remove", "path": "/creditRating"}]),
        ("PATCH", MERGE, {"creditRating": []}),
        ("PUT", JSON, {"tradingName": "Renamed"}),
        ("PATCH", MERGE, {"tradingName": "Renamed", "creditRating": None}),
    ],
)
async def test_private_attributes_are_neither_read_nor_written_from_elsewhere(
    league: ForwardingLeague, method: Any, form: str, content: Any
) -> None:
    origin, other, _ = league.members
    rating = [{"creditAgencyName": "Dun", "creditAgencyType": "agency", "ratingReference": "r"}]
    body = {"tradingName": "Krone", "creditRating": rating}
    made = await origin.ada.post(ORGANIZATIONS, body)
    assert made.status == 201, made.body
    entity_id = made.json()["id"]
    path = f"{ORGANIZATIONS}/{entity_id}"
    writes = ForwardedWrites(
        *(origin.business.operations.values(), origin.marketplace.store, PublicParts(MODELS)),
        *(lambda _, one: one, league.league.limits),
    )
    write = ForwardedWrite(
        *(method, path, "TMF632", "Organization", "k", entity_id),
        form=form,
        content=msgspec.json.encode(content),
    )
    caller = Caller(f"{'0' * 64}@{other.did}", frozenset({PROVIDER}), other.did)
    answered = await asyncio.gather(writes.carry_out(write, caller), return_exceptions=True)
    assert "Dun" not in str(answered)
    if isinstance(answered[0], Refused):
        assert answered[0].code in {Code.FORBIDDEN, Code.CONFLICT, Code.METHOD_NOT_ALLOWED}
    now = (await origin.ada.get(path)).json()
    assert now["creditRating"] == made.json()["creditRating"]
    assert now["tradingName"] in {"Krone", "Renamed"}
