"""Members that the operator has paused: nothing is requested of them, and what they announce waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.store.tables import origins
from tests.support.confidential import party, put, replica, settle
from tests.support.forwarding import OFFERINGS, ForwardingLeague
from tests.support.league import League, Marketplace

OPERATOR = {"authorization": "Bearer otto:operator"}


@pytest.fixture
async def league(tmp_path: Path) -> AsyncIterator[League]:
    async with League(["lubeck", "bergen", "riga"], folder=tmp_path) as league:
        league.start()
        yield league


async def pause(at: Marketplace, of: Marketplace, action: str = "pause") -> int:
    """Pause a member at another one, or resume it; the status."""
    path = f"/league/v1/peers/{of.did}/{action}"
    return (await at.client.post(path, headers=OPERATOR)).status


async def pending(at: Marketplace, of: Marketplace) -> int:
    return next(one.pending for one in await origins.origins(at.store) if one.did == of.did)


async def test_nothing_is_requested_of_a_paused_member_and_what_it_announces_waits(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    before = await lubeck.put("before")
    await league.settle()
    assert await pause(bergen, lubeck) == 200
    league.network.requests.clear()
    later = await lubeck.put("later")
    order = await put(lubeck, "ProductOrder", relatedParty=[party("Seller", bergen.did)])
    await league.run(60)
    assert set(await bergen.catalogue()) == {before}, "not of others that have it, and not by a push"
    assert later in await riga.catalogue()
    assert await replica(bergen, order) is None
    assert await pending(bergen, lubeck) == 1
    sent = league.network.requests_to(lubeck.endpoint)
    assert [one.url for one in sent if bergen.did.encode() in repr(one.headers).encode()] == []
    assert {one.url.rpartition("/")[2] for one in sent} <= {"bundles", "entities", "followed"}
    assert await pause(bergen, lubeck, "resume") == 200
    await settle(league)
    assert set(await bergen.catalogue()) == {before, later}
    assert await replica(bergen, order) is not None


async def test_a_pause_outlasts_a_restart_and_shows_since_when_it_holds(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    await league.settle()
    assert await pause(bergen, lubeck) == 200
    (since,) = [one.paused_since for one in await origins.origins(bergen.store) if one.did == lubeck.did]
    await league.run(5)
    assert await pause(bergen, lubeck) == 200
    await bergen.stop()
    await bergen.store.close()
    await bergen.open()
    bergen.start()
    later = await lubeck.put("later")
    await league.run(30)
    assert later not in await bergen.catalogue()
    shown = await bergen.view.progress(league.registered, None)
    (progress,) = [one for one in shown.origins if one.did == lubeck.did]
    assert progress.paused_since == since
    assert progress.pending == 1
    assert await pause(bergen, lubeck, "resume") == 200
    await league.settle()
    assert later in await bergen.catalogue()


async def test_a_paused_member_is_no_source_of_what_others_have_published(league: League) -> None:
    lubeck, bergen, riga = league.marketplaces
    assert await pause(bergen, riga) == 200
    await bergen.stop()
    one = await lubeck.put("one")
    await league.settle()
    league.network.down.add(lubeck.endpoint)
    bergen.start()
    league.network.requests.clear()
    await league.run(30)
    assert one not in await bergen.catalogue()
    assert league.network.requests_to(riga.endpoint) == []
    assert await pause(bergen, riga, "resume") == 200
    await league.run(120)
    assert one in await bergen.catalogue()


async def test_writes_to_entities_of_a_paused_origin_are_refused_and_not_sent() -> None:
    async with ForwardingLeague() as league:
        path = await league.shared_offering()
        origin, other = league.members
        assert await pause(other.marketplace, origin.marketplace) == 200
        answer = await league.done(other.ada.patch(path, {"name": "Renamed"}))
        assert answer.status == 503
        assert "paused" in answer.json()["message"]
        assert league.writes() == []
        assert await origin.name_of(path) == "backup"
        assert path.startswith(OFFERINGS)
        assert await pause(other.marketplace, origin.marketplace, "resume") == 200
        assert (await league.done(other.ada.patch(path, {"name": "Renamed"}))).status == 200


async def test_operators_alone_pause_members_and_these_alone(league: League) -> None:
    lubeck, bergen, _ = league.marketplaces
    path = f"/league/v1/peers/{lubeck.did}/pause"
    assert (await bergen.client.post(path)).status == 401
    provider = {"authorization": "Bearer ada:provider"}
    assert (await bergen.client.post(path, headers=provider)).status == 403
    assert (await bergen.client.post(f"{path}?now=1", headers=OPERATOR)).status == 400
    assert await pause(bergen, bergen) == 400
    nobody = "/league/v1/peers/did:web:nobody.example/pause"
    assert (await bergen.client.post(nobody, headers=OPERATOR)).status == 404
    assert await origins.paused(bergen.store) == frozenset()
