"""Everything that is wrong with a query is reported at once, each fault with the name of its parameter."""

from __future__ import annotations

import gc
import time

import pytest

from hansa.core.refusals import REFUSALS_MAX
from tests.support.business import CATALOG, MODELS, Business
from tests.support.loop_turns import is_short
from tests.support.routes import collections, hubs
from tests.unit.business.test_resources import check_refused

OFFERINGS = f"{CATALOG}/productOffering"
WRONG = {
    "nmae": ("1", "Did you mean name?"),
    "offset": ("-1", "offset must be"),
    "limit": ("many", "limit must be"),
    "depth": ("deep", "depth must be"),
    "sort": ("name,-lastUpdaet", "sort: 'lastUpdaet'"),
    "expand": ("categroy", "expand: 'categroy'"),
    "fields": ("name,a[?(", "fields: "),
    "filter": ("$[?(", "filter: "),
    "validFor": ("now", "validFor: this attribute holds objects"),
    "lastUpdate.gt": ("yesterday", "lastUpdate.gt: "),
    "name.regex": ("(", "name.regex: "),
}


async def test_a_list_is_refused_for_everything_that_is_wrong_with_its_query(business: Business) -> None:
    query = "&".join(f"{name}={value}" for name, (value, _) in WRONG.items())
    message = check_refused(await business.provider.get(f"{OFFERINGS}?{query}"), 400, "invalid")
    for name, (_, expected) in WRONG.items():
        assert expected in message, (name, message)


@pytest.mark.parametrize("pair", [(a, b) for a in WRONG for b in WRONG if a < b], ids="+".join)
async def test_any_two_faults_are_both_named(business: Business, pair: tuple[str, str]) -> None:
    for first, second in (pair, pair[::-1]):
        query = f"{first}={WRONG[first][0]}&{second}={WRONG[second][0]}"
        message = check_refused(await business.provider.get(f"{OFFERINGS}?{query}"), 400, "invalid")
        assert WRONG[first][1] in message
        assert WRONG[second][1] in message


async def test_faults_in_alternatives_and_in_bytes_that_are_no_text_are_named_too(business: Business) -> None:
    answer = await business.provider.get(f"{OFFERINGS}?name=%FF;nmae=1;limit=x&%FE=1")
    message = check_refused(answer, 400, "invalid")
    for expected in ("%FF", "%FE", "'nmae'", "limit must be"):
        assert expected in message


async def test_hundreds_of_faults_are_a_bounded_message(business: Business) -> None:
    query = "&".join(f"unheard{n}=1" for n in range(business.limits.query_parts_max))
    message = check_refused(await business.provider.get(f"{OFFERINGS}?{query}"), 400, "invalid")
    assert message.count("unheard") <= 3 * REFUSALS_MAX
    assert message.endswith("There may be more.")


@pytest.mark.parametrize("sign", ["&", ";"])
async def test_a_query_of_more_parts_than_are_read_is_refused_for_that_alone(
    business: Business, sign: str
) -> None:
    query = sign.join(["name=x"] * (business.limits.query_parts_max + 1))
    answer = await business.provider.get(f"{OFFERINGS}?{query}")
    assert check_refused(answer, 414, "uri-too-long") == "The query has more than 256 parts."


async def test_every_list_of_every_api_names_all_faults(business: Business) -> None:
    for path in collections(MODELS):
        answer = await business.operator.get(f"{path}?unheard=1&limit=x&sort=unsorted&depth=-1")
        if answer.status == 404:  # a sub-resource of nothing
            continue
        message = check_refused(answer, 400, "invalid")
        for expected in ("'unheard'", "limit must be", "sort: 'unsorted'", "depth must be"):
            assert expected in message, (path, message)


async def test_one_entity_and_a_write_name_all_faults(business: Business) -> None:
    query = "nmae=1&fieldz=x&depth=deep&expand=nothing"
    entity = (await business.provider.post(OFFERINGS, {"name": "x"})).json()
    address = f"{OFFERINGS}/{entity['id']}"
    for answer in (
        await business.provider.get(f"{address}?{query}"),
        await business.provider.patch(f"{address}?{query}", {"name": "y"}),
        await business.provider.delete(f"{address}?{query}"),
        await business.provider.post(f"{OFFERINGS}?{query}", {"name": "y"}),
    ):
        message = check_refused(answer, 400, "invalid")
        assert "'nmae'" in message
        assert "'fieldz'" in message
    assert (await business.provider.get(address)).json()["name"] == "x"


async def test_a_request_that_takes_no_parameters_names_all_it_got(business: Business) -> None:
    message = check_refused(await business.provider.get(f"{CATALOG}/openapi.json?a=1&b=2"), 400, "invalid")
    assert "'a', 'b' are no parameters" in message


async def test_every_hub_names_all_faults_of_a_registration_and_of_a_list(business: Business) -> None:
    for hub in hubs(MODELS):
        body = {
            "callback": "ftp://x.example/",
            "query": "eventType=NoSuchEvent&eventTyp=1&filter=[&limit=1",
            "url": "http://x.example",
        }
        message = check_refused(await business.provider.post(hub, body), 400, "invalid")
        for expected in ("callback: ", "url: ", "'NoSuchEvent'", "'eventTyp'", "filter: ", "'limit'"):
            assert expected in message, (hub, message)
        message = check_refused(
            await business.provider.get(f"{hub}?limit=x&state=well&statte=1"), 400, "invalid"
        )
        for expected in ("limit must be", "state must be", "'statte'; did you mean state?"):
            assert expected in message


async def test_an_event_that_does_not_exist_is_refused_with_the_one_that_is_meant(business: Business) -> None:
    body = {"callback": "http://x.example/", "query": "eventType=ProductOfferingCreatedEvent"}
    message = check_refused(await business.provider.post(f"{CATALOG}/hub", body), 400, "invalid")
    assert "did you mean ProductOfferingCreateEvent" in message


async def test_the_hub_of_a_topic_names_all_faults(business: Business) -> None:
    base = "/tmf-api/event/v4/topic"
    topic = (await business.operator.post(base, {"name": "x"})).json()
    body = {"callback": "nowhere", "query": "eventTyp=1&priorty=2"}
    message = check_refused(await business.operator.post(f"{base}/{topic['id']}/hub", body), 400, "invalid")
    for expected in ("callback: ", "'eventTyp'", "'priorty'"):
        assert expected in message


@pytest.mark.parametrize(
    "part",
    [
        "name.regex=(a|b){{{n}}}",
        "name>{n}",
        "lifecycleStatus.lt={n}",
        "filter=%24%5B%3F(%40.a{n}%3D%3D1)%5D",
        "expand=nothing",
        "sort=-nothing",
        "unheard.of{n}=1",
        "limit=x",
        "name={n};x=1",
    ],
)
@pytest.mark.parametrize("path", [OFFERINGS, "/tmf-api/party/v4/individual"])
async def test_no_query_of_many_parts_holds_up_the_loop(business: Business, part: str, path: str) -> None:
    for n in range(30):
        await business.provider.post(OFFERINGS, {"name": f"n {n}", "lifecycleStatus": "Launched"})
    query = ""
    for n in range(2000):
        more = f"&{part.format(n=n)}"
        parts = sum(text.count(sign) for text in (query, more) for sign in "&;")
        if (
            len(query) + 60 > business.limits.query_length_max_chars
            or parts > business.limits.query_parts_max
        ):
            break
        query += more
    gc.collect()
    gc.freeze()  # as a server does; else a collection may fall into what is measured
    started_s = time.thread_time()
    answer = await business.operator.get(f"{path}?{query[1:]}")
    spent_s = time.thread_time() - started_s
    assert is_short(spent_s)
    assert answer.status == 400, answer.body[:200]
