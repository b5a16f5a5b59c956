"""A GET for which everything is in memory is answered without a task, and as it would be with one."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator

import pytest

from hansa.business.http.messages import Response
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.node.http.callers import Callers
from hansa.node.http.connection.request_head import Fields
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.traffic import Traffic
from tests.support.business import Business, authenticate, open_business
from tests.support.connections import Client, Server

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
INDIVIDUALS = "/tmf-api/party/v4/individual"
READER = "Authorization: Bearer reader"
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"


class Marketplace(Server):
    """Connections, the front door and the TM Forum APIs, on a store."""

    def __init__(self, business: Business, *, has_access_log: bool = False) -> None:
        super().__init__(callers=Callers(Limits(), lambda: 0.0, authenticate))
        self.counts = Traffic()
        self.door = FrontDoor(
            *(business.app, business.app, self.counts, lambda: False, ManualClock(), os.urandom),
            compressor=business.app.compressor,
            has_access_log=has_access_log,
        )
        self.config.loaded_app = self.door
        self.at_once = 0
        """So many were."""

    def answer_at_once(self) -> None:
        """Answer so from now on, and count it."""

        def answer(*request: object) -> Response | None:
            response = self.door.answer_at_once(*request)  # type: ignore[arg-type]
            self.at_once += response is not None
            return response

        self.config.answer_at_once = answer

    async def ask(self, target: str, *headers: str, method: str = "GET") -> bytes:
        """The whole answer to a request, but what differs from one to the next."""
        client = self.connect()
        client.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
        await self.settle()
        return re.sub(rb"(date|x-request-id): [^\r]*", rb"\1: -", client.answered)


@pytest.fixture
async def business() -> AsyncIterator[Business]:
    business = await open_business()
    for name in ("Ledger", "Harbour"):
        offering = {"name": name, "lifecycleStatus": "Launched", "description": "d" * 2000}
        assert (await business.operator.post(OFFERINGS, offering)).status == 201
    draft = {"id": "urn:ngsi-ld:product-offering:draft", "name": "Draft", "lifecycleStatus": "In study"}
    assert (await business.operator.post(OFFERINGS, draft)).status == 201
    person = {"id": "urn:ngsi-ld:individual:ana", "givenName": "Ana", "familyName": "Pinto"}
    assert (await business.operator.post(INDIVIDUALS, person)).status == 201
    yield business
    await business.store.close()


async def first_of(business: Business) -> tuple[str, str]:
    """Where an offering that is public is, and its ETag."""
    (one, *_) = (await business.operator.get(f"{OFFERINGS}?lifecycleStatus=Launched")).json()
    target = f"{OFFERINGS}/{one['id']}"
    return target, (await business.operator.get(target)).headers["etag"]


REQUESTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "an entity": ("{offering}", (READER,)),
    "an entity, in gzip": ("{offering}", ("Accept-Encoding: gzip",)),
    "an entity that the client has": ("{offering}", (READER, "If-None-Match: {etag}")),
    "an entity as it was before": (
        "{offering}",
        (READER, "If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT"),
    ),
    "an entity, by a page of another origin": ("{offering}", ("Origin: https://other.example",)),
    "an entity, with an identifier of the request": ("{offering}", (READER, "X-Request-Id: my-request-1")),
    "a draft, for a stranger": (f"{OFFERINGS}/urn:ngsi-ld:product-offering:draft", ()),
    "a person, for a stranger": (f"{INDIVIDUALS}/urn:ngsi-ld:individual:ana", ()),
    "a person, for a reader": (f"{INDIVIDUALS}/urn:ngsi-ld:individual:ana", (READER,)),
    "an entity of another collection": (f"{OFFERINGS}/urn:ngsi-ld:individual:ana", (READER,)),
    "a token that does not hold": ("{offering}", ("Authorization: Bearer unknown",)),
    "a list": (f"{OFFERINGS}?lifecycleStatus=Launched&limit=1", (READER,)),
    "a list, for a stranger": (OFFERINGS, ()),
    "a range of a list": (OFFERINGS, (READER, "Range: items=1-1")),
    "people, for a stranger": (INDIVIDUALS, ()),
}
"""What is answered at once when it was asked before."""
OTHERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "some attributes": ("{offering}?fields=name", (READER,)),
    "what is not JSON": ("{offering}", (READER, "Accept: text/html")),
    "no entity": (f"{OFFERINGS}/urn:ngsi-ld:product-offering:none", (READER,)),
    "no path": ("/tmf-api/none", (READER,)),
    "an escape in the path": (OFFERINGS.replace("Offering", "%4Fffering"), (READER,)),
    "a bad escape in the path": (f"{OFFERINGS}/%zz", (READER,)),
    "the collection with a slash behind it": (f"{OFFERINGS}/", (READER,)),
    "a proof": ("{offering}", (READER, "DPoP: e30.e30.e30")),
    "the last request": ("{offering}", (READER, "Connection: close")),
    "a body": ("{offering}", (READER, "Content-Length: 0")),
}
"""What is not, whether or not it was asked before."""


@pytest.mark.parametrize("name", [*REQUESTS, *OTHERS])
async def test_the_answer_is_the_same_as_with_a_task(business: Business, name: str) -> None:
    offering, etag = await first_of(business)
    target, headers = {**REQUESTS, **OTHERS}[name]
    target, headers = target.format(offering=offering), tuple(one.format(etag=etag) for one in headers)
    marketplace = Marketplace(business)
    await marketplace.ask(target, READER)
    await marketplace.ask(target, *headers)
    expected = await marketplace.ask(target, *headers)
    marketplace.answer_at_once()
    assert await marketplace.ask(target, *headers) == expected
    assert marketplace.at_once == (name in REQUESTS)


async def test_a_change_is_seen_in_the_next_answer(business: Business) -> None:
    offering, _ = await first_of(business)
    marketplace = Marketplace(business)
    marketplace.answer_at_once()
    for name in ("First", "Second"):
        assert (await business.operator.patch(offering, {"name": name})).status == 200
        for target in (offering, OFFERINGS):
            for _ in range(2):
                assert f'"name":"{name}"'.encode() in await marketplace.ask(target, READER)
    assert marketplace.at_once >= 4
    assert (await business.operator.delete(offering)).status == 204
    assert b" 404 " in await marketplace.ask(offering, READER)


async def test_head_and_writes_have_a_task(business: Business) -> None:
    offering, _ = await first_of(business)
    marketplace = Marketplace(business)
    marketplace.answer_at_once()
    assert (await marketplace.ask(offering, READER, method="HEAD")).endswith(b"\r\n\r\n")
    assert b" 401 " in await marketplace.ask(offering, method="DELETE")
    assert marketplace.at_once == 0


async def test_every_request_has_its_line_in_the_access_log(business: Business) -> None:
    offering, _ = await first_of(business)
    marketplace = Marketplace(business, has_access_log=True)
    marketplace.answer_at_once()
    assert b" 200 " in await marketplace.ask(offering, READER)
    assert marketplace.at_once == 0


async def test_it_is_counted_as_any_other(business: Business) -> None:
    offering, _ = await first_of(business)
    marketplace = Marketplace(business)
    marketplace.answer_at_once()
    for _ in range(3):
        await marketplace.ask(offering, READER)
    await marketplace.ask(offering, "Authorization: Bearer unknown")
    totals = {labels: total.count for labels, total in marketplace.counts.totals().items()}
    assert (totals, marketplace.counts.in_flight) == ({("business", "2xx"): 3, ("business", "4xx"): 1}, 0)


# -- connections -----------------------------------------------------------------------------------------------


class Echo(Server):
    """Answers at once what begins with `/now`, with the path."""

    def __init__(self) -> None:
        super().__init__()
        self.config.answer_at_once = self._answer
        self.asked = 0

    def _answer(self, target: bytes, fields: Fields, account: object) -> Response | None:
        del fields, account
        self.asked += 1
        return Response(200, target) if target.startswith(b"/now") else None


@pytest.fixture
async def server() -> Echo:
    return Echo()


async def test_answers_of_one_turn_are_written_together(server: Echo) -> None:
    clients = [server.connect() for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(GET % b"/now/%d" % number)
    assert [client.answered for client in clients] == [b""] * 5
    await server.settle()
    assert [client.answered[-6:] for client in clients] == [b"/now/%d" % n for n in range(5)]


async def test_requests_sent_ahead_are_answered_in_their_order(server: Echo) -> None:
    client = server.connect()
    targets = (b"/now/1", b"/later/2", b"/now/3", b"/now/4")
    client.send(b"".join(GET % target for target in targets))
    await server.settle()
    bodies = re.findall(rb"\r\n\r\n(/now/\d|done)", client.answered)
    assert (client.statuses, bodies) == ([200] * 4, [b"/now/1", b"done", b"/now/3", b"/now/4"])


async def test_the_first_answer_comes_before_the_refusal_of_what_follows(server: Echo) -> None:
    client = server.connect()
    client.send(GET % b"/now/1", b"bad\r\n\r\n")
    await server.settle()
    assert (client.statuses, client.has_ended) == ([200, 400], True)


async def test_a_server_that_stops_writes_the_answer_and_ends(server: Echo) -> None:
    client = server.connect()
    client.send(GET % b"/now/1")
    client.protocol.shutdown()
    assert not client.has_ended
    await server.settle()
    assert (client.statuses, client.has_ended) == ([200], True)


async def test_a_client_that_has_left_is_written_nothing(server: Echo) -> None:
    left, closing, other = (server.connect() for _ in range(3))
    for client in (left, closing, other):
        client.send(GET % b"/now/1")
    left.abort()
    closing.close()
    await server.settle()
    assert (left.answered, closing.answered, other.statuses) == (b"", b"", [200])


async def test_a_client_that_does_not_read_is_not_answered_again(server: Echo) -> None:
    client = server.connect(does_read=False)
    client.send(GET % b"/now/1")
    client.write(b"x" * 100_000)
    client.send(GET % b"/now/2")
    await server.settle()
    asked = server.asked
    client.send(GET % b"/now/3")
    await server.settle()
    assert server.asked == asked


async def test_a_caller_in_debt_is_told_to_wait(server: Echo) -> None:
    client: Client = server.connect()
    account = client.protocol.account
    for _ in range(20):
        account.charge({"method": "GET", "raw_path": b"/", "query_string": b""}, 5.0, 0)
    client.send(GET % b"/now/1?x=1")
    await server.settle()
    assert (client.statuses, server.asked) == ([429], 0)
