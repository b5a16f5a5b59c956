"""People of organisations write at another member than the origin: its policies judge them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.core.access import Power
from hansa.core.forwarding import DELEGATION_HEADER, Actor
from hansa.core.jws import token_header
from hansa.identity.delegations import DELEGATION_TYPE
from tests.support.asgi import AsgiClient
from tests.support.credentials import decoded
from tests.support.forwarding import ForwardingLeague, ForwardingMember, send, write_to
from tests.support.rights import ACME, BOLT, MERGE, code_of, party

RENAMED = {"name": "Renamed"}
POWERS = (Power("DOME", "ProductOffering", ("Create", "Delete", "Update")),)


@pytest.fixture
async def league() -> AsyncIterator[ForwardingLeague]:
    async with ForwardingLeague() as forwarding:
        yield forwarding


def person(member: ForwardingMember, organization: str) -> AsgiClient:
    return member.client.with_headers(authorization=f"Bearer ada:provider@{organization}", **MERGE)


async def shared(league: ForwardingLeague) -> str:
    """The path of an offering of ACME, whose origin is the first member."""
    path = await league.members[0].offering("backup", relatedParty=[party(ACME)])
    await league.league.settle()
    return path


async def test_an_owner_changes_its_offering_at_another_member(league: ForwardingLeague) -> None:
    path = await shared(league)
    origin, other = league.members
    answer = await league.done(person(other, ACME).request("PATCH", path, RENAMED))
    assert answer.status == 200, answer.body
    assert await origin.name_of(path) == "Renamed"
    (request,) = league.writes()
    claims = decoded(request.headers[DELEGATION_HEADER].split(".")[1])
    assert (claims["organization"], claims["kind"]) == (ACME, "employee")
    assert claims["powers"][0]["function"] == "ProductOffering"


@pytest.mark.parametrize(
    ("actor", "status", "code"),
    [
        (Actor(frozenset({"provider"}), BOLT, "employee", POWERS), "403", "forbidden"),
        (Actor(frozenset({"provider", "operator"}), BOLT, "employee", POWERS), "403", "forbidden"),
        (Actor(frozenset({"provider"}), ACME, "employee", ()), "403", "power-missing"),
        (Actor(frozenset({"provider"}), ACME.lower(), "employee", POWERS), "403", "forbidden"),
    ],
    ids=["another organisation", "operator elsewhere", "no power", "lower case"],
)
async def test_what_a_member_states_gives_no_more_than_the_policies_of_the_origin(
    league: ForwardingLeague, actor: Actor, status: str, code: str
) -> None:
    path = await shared(league)
    origin, other = league.members
    write = write_to(path, path.rpartition("/")[2])
    said = other.delegations.delegation(origin.did, "0" * 64, actor, write, msgspec.json.encode(write))
    answer = await send(league, other, write, delegation=said)
    assert (str(answer.status), code_of(answer)) == (status, code)
    assert await origin.name_of(path) == "backup"


async def test_the_origin_may_forbid_what_comes_through_other_members(league: ForwardingLeague) -> None:
    path = await shared(league)
    origin, other = league.members
    origin.policies = {
        "f.cedar": '@id("here-only") forbid (principal, action == Action::"change", resource) when { context has member };'
    }
    origin.open()
    answer = await league.done(person(other, ACME).request("PATCH", path, RENAMED))
    assert answer.status == 403
    assert (await person(origin, ACME).request("PATCH", path, RENAMED)).status == 200


async def test_the_former_form_of_a_delegation_is_refused(league: ForwardingLeague) -> None:
    path = await shared(league)
    origin, other = league.members
    write = write_to(path, path.rpartition("/")[2])
    actor = Actor(frozenset({"provider"}))
    said = other.delegations.delegation(origin.did, "0" * 64, actor, write, msgspec.json.encode(write))
    claims = decoded(said.split(".")[1])
    del claims["organization"], claims["kind"]
    former = other.marketplace.key.sign(
        msgspec.json.encode(claims, order="sorted"),
        token_header(DELEGATION_TYPE),
        typ=DELEGATION_TYPE,
    )
    answer = await send(league, other, write, delegation=former)
    assert (answer.status, code_of(answer)) == (401, "unauthenticated")
    assert "malformed" in answer.json()["message"]


async def test_a_write_that_waits_for_its_origin_is_that_of_the_same_person(league: ForwardingLeague) -> None:
    path = await shared(league)
    origin, other = league.members
    write = write_to(path, path.rpartition("/")[2])
    caller = Actor(frozenset({"provider"}), BOLT, "machine", POWERS).caller("x", other.did)
    await other.queue.add(origin.did, write, msgspec.structs.replace(caller, member=None))
    ((text,),) = await other.marketplace.store.sql.fetch("SELECT actor FROM queued_write")
    actor = msgspec.json.decode(str(text), type=Actor)
    assert (actor.organization, actor.kind, actor.powers) == (BOLT, "machine", POWERS)
