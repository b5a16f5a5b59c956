"""Much that is missing comes in bundles: those that were missed, and those of whoever has what is needed."""

from __future__ import annotations

import pytest

from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpRequest, HttpResponse
from hansa.replication import follower
from hansa.replication.announced.bundles import BUNDLE_TYPE, BUNDLES_PATH
from hansa.replication.sources import filling
from hansa.store.tables import origins
from tests.support.league import League, Marketplace
from tests.support.network import replaced

COUNT = 60


async def publish_while_away(league: League) -> tuple[Marketplace, Marketplace]:
    """What the first publishes while the second, which has not begun, gets none of its bundles."""
    lubeck, bergen = league.marketplaces
    lubeck.start()
    league.network.down.add(bergen.endpoint)
    for n in range(COUNT):
        await lubeck.put_bound(n=n)
    await league.settle(lubeck)
    return lubeck, bergen


async def test_bundles_that_were_missed_are_pulled_by_their_addresses() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = await publish_while_away(league)
        bergen.start()
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert bergen.retriever.sources.bundles.pulled > 0
        requested = sum(
            one.body.count(b'"key"') for one in league.network.requests if one.url.endswith(ENTITIES_PATH)
        )
        assert requested < COUNT


async def test_a_bundle_that_is_not_the_one_of_its_address_is_not_believed() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = await publish_while_away(league)

        def other(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
            is_bundle = f"{BUNDLES_PATH}/" in request.url
            return HttpResponse(200, {}, b"x" * 200_000) if is_bundle else answer

        league.network.faults[lubeck.endpoint] = other
        bergen.start()
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert await bergen.evidence() == set()


@pytest.fixture
def _much_is_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "VERSIONS_MIN", 10)
    monkeypatch.setattr(follower, "FAR_BEHIND_EVENTS", 20)
    monkeypatch.setattr(follower, "NEWEST_AT_ONCE", 7)


@pytest.mark.usefixtures("_much_is_little")
@pytest.mark.parametrize("state", ["away", "here", "beside a liar"])
async def test_a_newcomer_reads_heads_and_fills_its_store_from_whoever_has_it(state: str) -> None:
    async with League(["lubeck", "bergen", "riga", "bruges"], has_pushes=False) as league:
        lubeck, bergen, riga, bruges = league.marketplaces
        for member in (lubeck, bergen, bruges):
            member.start()
        ids = [(lubeck.id(str(n)), "Launched", "ProductOffering", {"n": n}) for n in range(COUNT)]
        await lubeck.put_many(ids)
        await league.settle(lubeck, bergen, bruges)
        await lubeck.put_many([(one[0], *one[1:3], {"n": -1}) for one in ids[::2]])
        await lubeck.delete(ids[1][0])
        await league.settle(lubeck, bergen, bruges)
        if state == "away":
            league.network.down.add(lubeck.endpoint)
        if state == "beside a liar":
            league.network.faults[bruges.endpoint] = replaced(b'"n":', b'"m":')
        league.network.requests.clear()
        riga.start()
        await league.until(lambda: is_filled(league))
        assert await riga.catalogue() == await bergen.catalogue()
        assert riga.follower.counters.events_read < COUNT + COUNT // 2
        bundled = [one for one in league.network.requests if one.headers.get("accept") == BUNDLE_TYPE]
        assert bundled
        (origin,) = await origins.origins(riga.store)
        assert (origin.unaccounted, origin.pending, origin.heads) == (0, 0, COUNT)


async def is_filled(league: League) -> bool:
    _, bergen, riga, _ = league.marketplaces
    return riga.is_running and await riga.catalogue() == await bergen.catalogue()


@pytest.mark.usefixtures("_much_is_little")
async def test_a_filling_says_how_fast_it_is_and_how_long_the_rest_takes() -> None:
    async with League(["lubeck", "riga"], has_pushes=False) as league:
        lubeck, riga = league.marketplaces
        lubeck.start()
        for n in range(COUNT):
            await lubeck.put(str(n), n=n)
        await league.settle(lubeck)
        league.network.delays_s[lubeck.endpoint] = 2.0
        riga.start()
        filling = riga.retriever.sources.filling
        assert filling.progress(5) is None
        await league.until(lambda: filling.progress(COUNT) is not None)
        begun = filling.progress(COUNT)
        assert begun is not None
        assert (begun.pending, begun.rate_per_s, begun.left_s) == (COUNT, 0.0, None)
        await league.run(1)
        await league.until(lambda: is_received(riga))
        await league.settle()
        await league.run(5)
        assert await riga.catalogue() == await lubeck.catalogue()
        assert filling.progress(0) is None


async def is_received(riga: Marketplace) -> bool:
    """Whether something came, with a rate and a time that is left."""
    progress = riga.retriever.sources.filling.progress(COUNT)
    is_over = len(await riga.catalogue()) == COUNT
    return is_over or (progress is not None and progress.rate_per_s > 0 and progress.left_s is not None)
