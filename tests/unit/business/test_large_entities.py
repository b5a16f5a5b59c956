"""Large entities and many of them: bounded in nodes and bytes, and worked on beside the event loop."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest

from hansa.business.rules import deletion
from hansa.core.limits import Limits
from tests.support.asgi import Response
from tests.support.business import CATALOG, Business, open_business
from tests.support.loop_turns import LoopTurns, is_short
from tests.unit.business.test_resources import OFFERINGS, check_refused

PATCH = {"content-type": "application/json-patch+json"}
PATCH_QUERY = {"content-type": "application/json-patch-query+json"}
ODD_NUMBER = 1e-7
"""Has another form in canonical JSON than the fast encoder writes."""


def pieces(count: int, **attributes: Any) -> dict[str, Any]:
    """An offering of so many small objects."""
    values = [{"value": ODD_NUMBER} for _ in range(count // 10)]
    uses = [{"name": f"n{number}", "productSpecCharacteristicValue": values} for number in range(10)]
    return {"name": "pieces", "lifecycleStatus": "Launched", "prodSpecCharValueUse": uses, **attributes}


async def within_a_turn(request: Awaitable[Response], turns: LoopTurns) -> Response:
    """The response to a request, of which no turn of the loop took long."""

    async def send() -> Response:
        return await request

    turns.longest_s = 0.0
    with turns:
        response = await asyncio.create_task(send())
    assert is_short(turns.longest_s), turns.longest
    return response


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> LoopTurns:
    """No collection of garbage falls into a turn: a server exempts what it made at its start."""
    import gc

    monkeypatch.setattr(gc, "isenabled", lambda: False)
    gc.collect()
    gc.freeze()
    return LoopTurns()


async def test_an_entity_of_a_hundred_thousand_pieces_is_refused_at_the_door(
    business: Business, turns: LoopTurns
) -> None:
    body = msgspec.json.encode(pieces(50_000))
    for method, path in (("POST", OFFERINGS), ("PUT", f"{OFFERINGS}/x"), ("PATCH", f"{OFFERINGS}/x")):
        refused = await within_a_turn(
            business.provider.request(method, path, body=body, headers={"content-type": "application/json"}),
            turns,
        )
        assert "20,000 values" in check_refused(refused, 413, "too-large")


async def test_patches_do_not_add_up_to_more_than_a_body_may_be(business: Business) -> None:
    address = (await business.provider.post(OFFERINGS, pieces(9000))).headers["location"]
    more = {"productOfferingTerm": [{"name": "x"} for _ in range(9000)]}
    assert "20,000 values" in check_refused(await business.provider.patch(address, more), 413, "too-large")
    texts = {"description": "x" * 250_000, "version": "y" * 250_000, "statusReason": "z" * 250_000}
    assert (await business.provider.patch(address, texts)).status == 200
    more_text = {"name": "a" * 250_000, "prodSpecCharValueUse": [{"name": "b" * 250_000}]}
    assert "1,048,576" in check_refused(await business.provider.patch(address, more_text), 413, "too-large")


async def test_no_write_of_a_large_entity_holds_up_the_loop(business: Business, turns: LoopTurns) -> None:
    provider = business.provider
    created = await within_a_turn(provider.post(OFFERINGS, pieces(9000)), turns)
    assert created.status == 201
    address = created.headers["location"]
    for patch, headers in (
        ({"description": "z"}, None),
        ([{"op": "replace", "path": "/name", "value": "q"}], PATCH),
        ([{"op": "copy", "from": "/name", "path": "/description"}] * 900, PATCH),
        (
            [
                {
                    "op": "add",
                    "path": "/prodSpecCharValueUse/description?prodSpecCharValueUse.name=n2",
                    "value": "r",
                }
            ],
            PATCH_QUERY,
        ),
        (
            [{"op": "replace", "path": "$.prodSpecCharValueUse[?(@.name=='n1')].name", "value": "s"}],
            PATCH_QUERY,
        ),
    ):
        response = await within_a_turn(provider.patch(address, patch, headers=headers), turns)
        assert response.status == 200, response.body
    assert (await within_a_turn(provider.request("PUT", address, pieces(8000)), turns)).status == 200
    assert len((await provider.get(address)).json()["prodSpecCharValueUse"]) == 10
    assert business.context.large_work.in_threads > 10
    assert (await within_a_turn(provider.delete(address), turns)).status == 204


async def test_no_patch_of_many_json_paths_visits_more_than_one_may(business: Business) -> None:
    address = (await business.provider.post(OFFERINGS, pieces(9000))).headers["location"]
    patch = [{"op": "replace", "path": "$..[?(@.none == 1)]", "value": 1}] * 90
    response = await business.provider.patch(address, patch, headers=PATCH_QUERY)
    assert response.status == 409  # it leads to nothing
    paths = [{"op": "replace", "path": "$..[?(@.name=='n1')].name", "value": "n1"}] * 90
    refused = await business.provider.patch(address, paths, headers=PATCH_QUERY)
    assert "visits more than" in check_refused(refused, 400, "invalid")


async def test_writers_of_one_large_entity_lose_nothing(business: Business) -> None:
    address = (await business.provider.post(OFFERINGS, pieces(5000))).headers["location"]
    names = [f"use{number}" for number in range(4)]
    patches = [
        business.provider.patch(
            address,
            [{"op": "add", "path": "/prodSpecCharValueUse/-", "value": {"name": name}}],
            headers=PATCH,
        )
        for name in names
    ]
    assert {response.status for response in await asyncio.gather(*patches)} == {200}
    uses = (await business.provider.get(address)).json()["prodSpecCharValueUse"]
    assert {one["name"] for one in uses} >= set(names)


async def test_a_stale_precondition_is_told_before_what_is_wrong_with_a_change(business: Business) -> None:
    address = (await business.provider.post(OFFERINGS, pieces(5000))).headers["location"]
    headers = {"if-match": '"hl:other"'}
    check_refused(
        await business.provider.patch(address, {"name": 1}, headers=headers), 412, "precondition-failed"
    )


async def test_no_read_of_much_holds_up_the_loop(business: Business, turns: LoopTurns) -> None:
    reader = business.reader
    await business.provider.post(f"{CATALOG}/category", {"id": "c1", "name": "c"})
    description = "d" * 1000
    for _ in range(300):
        await business.provider.post(
            OFFERINGS, {"name": "n", "description": description, "category": [{"id": "c1"}]}
        )
    large = (await business.provider.post(OFFERINGS, pieces(9000))).headers["location"]
    for path in (
        f"{large}?fields=$..value",
        f"{large}?fields=prodSpecCharValueUse[?(@.name=='n1')].name",
        f"{large}?depth=3",
        f"{OFFERINGS}?limit=1000&depth=3",
        f"{OFFERINGS}?limit=1000&expand=category&fields=category",
        f"{OFFERINGS}?limit=1000&fields=category[?(@.id=='c1')].name",
        f"{OFFERINGS}?limit=1000&filter=$.prodSpecCharValueUse[*].productSpecCharacteristicValue[?(@.value==3)]",
        f"{OFFERINGS}?limit=1000&prodSpecCharValueUse.name=n3",
        f"{OFFERINGS}?limit=1000&sort=-prodSpecCharValueUse.name",
    ):
        response = await within_a_turn(reader.get(path), turns)
        assert response.status in {200, 206}, (path, response.body)


async def test_a_search_of_few_large_entities_leaves_the_loop(business: Business, turns: LoopTurns) -> None:
    texts = [{"name": "y" * 200_000} for _ in range(5)]
    body = {"name": "large", "productOfferingTerm": texts, "place": [{"id": "p"}]}
    ids = [(await business.provider.post(OFFERINGS, body)).json()["id"] for _ in range(25)]
    for query in (
        "name=large&productOfferingTerm.name=q",
        "name=large&sort=productOfferingTerm.name&limit=1",
        f"id={','.join(ids)}&productOfferingTerm.name=q",
        f"id={','.join(ids)}&filter=$.productOfferingTerm[?(@.name=='q')]",
        "lastUpdate.gt=2000-01-01&productOfferingTerm.name.gt=q&limit=1",
    ):
        response = await within_a_turn(business.reader.get(f"{OFFERINGS}?{query}"), turns)
        assert response.status in {200, 206}, response.body


async def test_a_page_is_bounded_in_bytes_and_next_leads_to_all_entities(turns: LoopTurns) -> None:
    business = await open_business(limits=Limits(answer_size_max_bytes=100_000))
    for number in range(30):
        await business.provider.post(
            OFFERINGS, {"name": f"n{number:02}", "version": "9", "description": "d" * (number * 1000)}
        )
    await business.provider.post(OFFERINGS, {"name": "n99", "version": "9", "description": "d" * 200_000})
    for query in ("version=9&", "limit=1000&sort=name&", "fields=name&", "name.regex=n&"):
        address, names = f"{OFFERINGS}?{query}", list[str]()
        while address:
            response = await within_a_turn(business.reader.get(address), turns)
            page = response.json()
            assert len(response.body) <= 100_000 + 10_000 or len(page) == 1
            assert response.headers["x-total-count"] == "31"
            assert response.headers["x-result-count"] == str(len(page))
            names += [one["name"] for one in page]
            links = {
                part.split('rel="')[1][:4]: part
                for part in response.headers.get("link", "").split(", ")
                if part
            }
            assert response.status == (206 if len(page) < 31 else 200)
            address = (
                links["next"].split("<")[1].split(">")[0].removeprefix(business.endpoint)
                if "next" in links
                else ""
            )
        assert names == [f"n{number:02}" for number in range(30)] + ["n99"]
    await business.store.close()


async def test_expanded_answers_are_bounded_in_bytes() -> None:
    business = await open_business(limits=Limits(answer_size_max_bytes=50_000))
    for number in range(30):
        await business.provider.post(
            f"{CATALOG}/category", {"id": f"c{number}", "name": "c", "description": "d" * 10_000}
        )
    references = [{"id": f"c{number}"} for number in range(30)]
    address = (await business.provider.post(OFFERINGS, {"name": "n", "category": references})).headers[
        "location"
    ]
    body = (await business.reader.get(f"{address}?depth=1")).body
    assert 20_000 < len(body) < 60_000
    await business.store.close()


async def test_no_deletion_examines_many_large_referrers_at_once(
    business: Business, turns: LoopTurns
) -> None:
    category = (await business.provider.post(f"{CATALOG}/category", {"name": "c"})).json()
    body = pieces(9000, lifecycleStatus="Obsolete", category=[{"id": category["id"]}])
    for _ in range(24):
        assert (await business.provider.post(OFFERINGS, body)).status == 201
    deleted = await within_a_turn(business.provider.delete(category["href"]), turns)
    assert deleted.status == 204, deleted.body


async def test_a_deletion_that_many_large_entities_might_prevent_is_refused(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    category = (await business.provider.post(f"{CATALOG}/category", {"name": "c"})).json()
    monkeypatch.setattr(deletion, "REFERRERS_READ_MAX_BYTES", 1_000_000)
    body = {"name": "o", "lifecycleStatus": "Obsolete", "category": [{"id": category["id"]}]}
    for _ in range(8):
        answer = await business.provider.post(OFFERINGS, {**body, "description": "x" * 200_000})
        assert answer.status == 201
    refused = await business.provider.delete(category["href"])
    assert "is referred to by 5 entities or more" in check_refused(refused, 409, "still-referenced")


async def test_sub_resources_are_deleted_with_others_in_between(business: Business, turns: LoopTurns) -> None:
    flows = "/tmf-api/processFlowManagement/v4/processFlow"
    flow = (await business.provider.post(flows, {"processFlowSpecification": "s"})).json()
    parent = {"id": flow["id"], "name": "flow", "role": "parent", "@referredType": "ProcessFlow"}
    body = {"relatedEntity": [parent], "taskFlowSpecification": "s"}
    several = [{"op": "add", "path": "/-", "value": body}] * 400
    for _ in range(3):
        made = await business.provider.patch(f"{flows}/{flow['id']}/taskFlow", several, headers=PATCH)
        assert made.status == 200, made.body
    assert (await within_a_turn(business.provider.delete(flow["href"]), turns)).status == 204
    assert not await business.store.missing([flow["id"]]) - {flow["id"]}


@pytest.mark.parametrize("is_compressed", [False, True])
async def test_large_bodies_are_read_beside_the_loop_whatever_they_are_for(
    business: Business, is_compressed: bool
) -> None:
    address = (await business.provider.post(OFFERINGS, {"name": "x"})).headers["location"]
    plain = b"[" + b",".join([b"{}"] * 340_000) + b"]"
    headers = {"content-type": "application/json"}
    if is_compressed:
        headers["content-encoding"] = "gzip"
    body = gzip.compress(plain, 1) if is_compressed else plain
    requests = (("POST", f"{CATALOG}/hub"), ("POST", f"{CATALOG}/importJob"), ("PATCH", address))
    for method, path in requests:
        before = business.context.large_work.in_threads
        answer = await business.provider.request(method, path, body=body, headers=headers)
        check_refused(answer, 413, "too-large")
        assert business.context.large_work.in_threads > before
