"""Whatever an origin, or a proxy before it, answers for half a day: when it is over, everything arrives.

Nothing is given up, no storm of requests arises, nothing is evidence that may be a proxy's fault, and every
head of the ledger has a state at every moment.
"""

from __future__ import annotations

from collections import Counter
from urllib.parse import urlsplit

import pytest

from hansa.core.http import HttpRequest, HttpResponse
from hansa.store.tables import origins
from tests.support.league import League, Marketplace
from tests.support.network import Fault, replaced, status

HALF_DAY_S = 43_200.0
STEP_S = 30.0
PAGE = b"<!doctype html><html><body>Please sign in to the hotel's network.</body></html>"


def sign_in_page(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    del request, answer
    return HttpResponse(200, {"content-type": "text/html"}, PAGE)


FAULTS: dict[str, Fault] = {
    "a proxy that finds nothing": status(404),
    "a clock that is wrong": status(401),
    "a proxy without its marketplace": status(502),
    "an error": status(500),
    "a page to sign in": sign_in_page,
    "a redirect": status(302, {"location": "https://elsewhere.example"}),
    "other bytes": replaced(b'"n":', b'"m":'),
}


async def check_every_head_has_a_state(member: Marketplace) -> None:
    for origin in await origins.origins(member.store):
        assert origin.unaccounted == 0


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_everything_arrives_after_half_a_day_of_wrong_answers(fault: Fault, is_restarted: bool) -> None:
    async with League(["lubeck", "bergen", "riga"]) as league:
        lubeck, bergen, _ = league.marketplaces
        league.start()
        await lubeck.put("updated", n=1)
        await league.settle()
        league.network.faults[lubeck.endpoint] = fault
        await lubeck.put("updated", n=2)
        await lubeck.put_many(
            [(lubeck.id(str(n)), "Launched", "ProductOffering", {"n": n}) for n in range(300)]
        )
        await league.settle(lubeck)
        before = len(league.network.requests)
        await league.run(HALF_DAY_S, STEP_S)
        await check_every_head_has_a_state(bergen)
        entities = Counter[str]()
        for request in league.network.requests[before:]:
            entities[urlsplit(request.url).netloc] += request.body.count(b'"key"')
        # Two readers request 301 entities of their origin, and each of the other one, for half a day.
        assert entities[urlsplit(lubeck.endpoint).netloc] < 20_000
        assert all(count < 10_000 for source, count in entities.items() if source not in lubeck.endpoint)
        assert all(code == "hash-mismatch" for _, code in await bergen.evidence())
        if is_restarted:
            await bergen.restart()
        league.network.faults.clear()
        healed_at_s = league.clock.monotonic()
        await lubeck.put("new")
        await league.settle(timeout_s=4000.0)
        assert league.clock.monotonic() - healed_at_s < 3700.0
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert len(await bergen.catalogue()) == 302
        await check_every_head_has_a_state(bergen)


async def test_one_update_during_half_a_day_of_wrong_answers_arrives_soon_after() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await lubeck.put("one", n=1)
        await league.settle()
        league.network.faults[lubeck.endpoint] = status(404)
        await lubeck.put("one", n=2)
        await league.run(600)
        league.network.faults.clear()
        healed_at_s = league.clock.monotonic()
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert league.clock.monotonic() - healed_at_s <= league.limits.retrieval_backoff_max_s


async def test_a_member_whose_store_was_lost_is_not_stormed() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        await lubeck.put_many([(lubeck.id(str(n)), "Launched", "ProductOffering", {}) for n in range(2000)])
        lubeck.start()
        await league.settle(lubeck)
        await lubeck.close()
        await lubeck.open()  # an empty store
        lubeck.start()
        bergen.start()
        await league.run(180)
        rejected = bergen.retriever.counters.entities_rejected
        assert 2000 <= rejected < 2000 + 180 * 2 * league.limits.retrieval_retries_per_s
        (origin,) = await origins.origins(bergen.store)
        assert (origin.heads, origin.pending, origin.failed, origin.unaccounted) == (2000, 2000, 2000, 0)
