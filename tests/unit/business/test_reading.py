"""Pages and ranges, references filled in, sub-resources, and methods of the operator alone, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hansa.store import ListCaller
from hansa.store.sqlite.lists.statements import Statement
from hansa.store.sqlite.store import SqliteStore
from tests.support.business import CATALOG, PARTY, Business
from tests.unit.business.test_resources import OFFERINGS, check_refused, made

FLOWS = "/tmf-api/processFlowManagement/v4/processFlow"
ADDRESSES = "/tmf-api/geographicAddressManagement/v4/geographicAddress"
BUCKETS = "/tmf-api/prepayBalanceManagement/v4/bucket"


@pytest.fixture
async def ten(business: Business) -> list[str]:
    return [(await made(business, name=f"Offering {n}"))["id"] for n in range(10)]


def ids(answer: Any) -> list[str]:
    return [entity["id"] for entity in answer.json()]


# -- pages --------------------------------------------------------------------------------------------------------


async def test_a_part_that_was_asked_for_is_told_as_a_part(business: Business, ten: list[str]) -> None:
    answer = await business.anonymous.get(f"{OFFERINGS}?limit=3&offset=3")
    assert (answer.status, ids(answer)) == (206, ten[3:6])
    assert answer.headers["content-range"] == "items 4-6/10"
    assert (answer.headers["x-total-count"], answer.headers["x-result-count"]) == ("10", "3")


async def test_everything_is_no_part(business: Business, ten: list[str]) -> None:
    for query in ("", "?limit=10", "?offset=0"):
        answer = await business.anonymous.get(OFFERINGS + query)
        assert (answer.status, ids(answer)) == (200, ten)
        assert "content-range" not in answer.headers


async def test_a_range_counts_from_one_and_includes_its_end(business: Business, ten: list[str]) -> None:
    answer = await business.anonymous.get(OFFERINGS, headers={"range": "items=2-4"})
    assert (answer.status, ids(answer)) == (206, ten[1:4])
    assert answer.headers["content-range"] == "items 2-4/10"
    assert answer.headers["accept-ranges"] == "items"


async def test_a_range_beyond_the_end_is_refused_with_what_there_is(
    business: Business, ten: list[str]
) -> None:
    answer = await business.anonymous.get(OFFERINGS, headers={"range": "items=11-20"})
    check_refused(answer, 416, "range-not-satisfiable")
    assert answer.headers["content-range"] == "items */10"


@pytest.mark.parametrize("header", ["bytes=0-10", "items=x-y", "items=5-2", "items"])
async def test_a_range_that_says_nothing_is_ignored(business: Business, ten: list[str], header: str) -> None:
    answer = await business.anonymous.get(OFFERINGS, headers={"range": header})
    assert (answer.status, ids(answer)) == (200, ten)


# -- references ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def offering(business: Business) -> Any:
    party = (await business.provider.post(f"{PARTY}/organization", {"tradingName": "Hanse"})).json()
    specification = await made(
        business,
        f"{CATALOG}/productSpecification",
        name="Disk",
        relatedParty=[{"id": party["id"], "name": "H", "@referredType": "Organization"}],
    )
    return await made(business, productSpecification={"id": specification["id"], "name": "As referred to"})


async def test_expand_fills_the_references_at_a_path(business: Business, offering: Any) -> None:
    answer = await business.anonymous.get(f"{OFFERINGS}/{offering['id']}?expand=productSpecification")
    filled = answer.json()["productSpecification"]
    assert answer.status == 200
    assert (filled["name"], filled["lifecycleStatus"]) == ("As referred to", "Launched")
    assert filled["href"].endswith(f"/productSpecification/{filled['id']}")
    assert "tradingName" not in filled["relatedParty"][0]


async def test_depth_fills_references_of_references(business: Business, offering: Any) -> None:
    answer = await business.anonymous.get(f"{OFFERINGS}?depth=2")
    (shown,) = answer.json()
    assert shown["productSpecification"]["relatedParty"][0]["tradingName"] == "Hanse"


async def test_a_private_entity_is_not_filled_in_for_strangers(business: Business) -> None:
    draft = (await business.provider.post(f"{CATALOG}/productSpecification", {"name": "Secret"})).json()
    shown = await made(business, productSpecification={"id": draft["id"]})
    target = f"{OFFERINGS}/{shown['id']}?expand=productSpecification"
    assert "name" not in (await business.anonymous.get(target)).json()["productSpecification"]
    assert (await business.provider.get(target)).json()["productSpecification"]["name"] == "Secret"


# -- sub-resources ------------------------------------------------------------------------------------------------


async def test_a_sub_resource_lives_below_its_parent(business: Business) -> None:
    body = {"processFlowSpecification": "s"}
    flow, other = [(await business.provider.post(FLOWS, body)).json() for _ in range(2)]
    tasks = f"{FLOWS}/{flow['id']}/taskFlow"
    answer = await business.provider.post(tasks, {"taskFlowSpecification": "t"})
    assert answer.status == 201, answer.body
    task = answer.json()
    assert answer.headers["location"] == task["href"] == f"{business.endpoint}{tasks}/{task['id']}"
    assert ids(await business.provider.get(tasks)) == [task["id"]]
    assert ids(await business.provider.get(f"{FLOWS}/{other['id']}/taskFlow")) == []
    assert (await business.provider.get(f"{tasks}/{task['id']}")).json() == task
    check_refused(
        await business.provider.get(f"{FLOWS}/{other['id']}/taskFlow/{task['id']}"), 404, "not-found"
    )
    changed = await business.provider.patch(f"{tasks}/{task['id']}", {"priority": 3})
    assert changed.json()["href"] == task["href"]


async def test_there_is_nothing_below_a_parent_that_is_not_here(business: Business) -> None:
    tasks = f"{FLOWS}/nobody/taskFlow"
    check_refused(await business.provider.get(tasks), 404, "not-found")
    check_refused(await business.provider.post(tasks, {"taskFlowSpecification": "t"}), 404, "not-found")


async def test_what_is_below_goes_with_its_parent(business: Business) -> None:
    flow = (await business.provider.post(FLOWS, {"processFlowSpecification": "s"})).json()
    tasks = f"{FLOWS}/{flow['id']}/taskFlow"
    task = (await business.provider.post(tasks, {"taskFlowSpecification": "t"})).json()
    assert (await business.provider.delete(f"{FLOWS}/{flow['id']}")).status == 204
    assert await business.store.entity(task["id"]) is None


async def test_parts_of_an_address_are_served_below_it(business: Business) -> None:
    address = {
        "city": "Lübeck",
        "country": "Germany",
        "geographicSubAddress": [{"id": "s1", "name": "Attic"}, {"id": "s2", "name": "Cellar"}],
    }
    made_ = await business.operator.post(ADDRESSES, address)
    assert made_.status == 201, made_.body
    parts = f"{ADDRESSES}/{made_.json()['id']}/geographicSubAddress"
    answer = await business.reader.get(parts)
    assert [part["name"] for part in answer.json()] == ["Attic", "Cellar"]
    assert ids(await business.reader.get(f"{parts}?name=Cellar")) == ["s2"]
    one = (await business.reader.get(f"{parts}/s1")).json()
    assert one["href"] == f"{business.endpoint}{parts}/s1"
    check_refused(await business.reader.get(f"{parts}/s3"), 404, "not-found")
    check_refused(await business.anonymous.get(parts), 401, "unauthenticated")


# -- records of the marketplace's own systems ----------------------------------------------------------------------


async def test_what_the_document_only_reads_the_operator_alone_writes(business: Business) -> None:
    body = {"name": "Minutes", "usageType": "voice"}
    refused = await business.provider.post(BUCKETS, body)
    check_refused(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
    answer = await business.operator.post(BUCKETS, body)
    assert answer.status == 201, answer.body
    assert ids(await business.reader.get(BUCKETS)) == [answer.json()["id"]]


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


async def test_clients_that_leave_take_their_search_along(business: Business) -> None:
    for number in range(60):
        await made(business, OFFERINGS, name=f"n{number}")
    assert isinstance(business.store, SqliteStore)
    blocker = asyncio.create_task(
        business.store._searches.fetch(Statement(ENDLESS, ()), ListCaller(is_stranger=True))
    )
    await asyncio.sleep(0)
    left = asyncio.Event()
    searches = [
        asyncio.create_task(business.anonymous.get(f"{OFFERINGS}?description.regex=x%7B0,{n}%7Dy", left=left))
        for n in range(1, 60)
    ]
    for _ in range(3):
        await asyncio.sleep(0)
    left.set()
    assert {response.status for response in await asyncio.gather(*searches)} == {0}
    blocker.cancel()
    await asyncio.gather(blocker, return_exceptions=True)
    assert (await business.anonymous.get(f"{OFFERINGS}?description.regex=y")).status == 200
