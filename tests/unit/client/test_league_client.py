"""A client that follows the league, verifies what it gets, and reconnects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import msgspec
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from hansa.client import BlockingLeagueClient, LeagueClient, LeagueEvent, LedgerQuery
from hansa.client.connection import ClientResponse, StreamLines
from hansa.core.canonical import hashlink
from hansa.core.errors import Code, Refused, Unavailable
from tests.support.asgi import Application
from tests.support.conditions import until
from tests.support.connections_in_process import InProcessConnection
from tests.support.league import League


@pytest.fixture
async def league() -> AsyncIterator[League]:
    async with League(["lubeck", "bergen"]) as league:
        league.start()
        yield league


@pytest.fixture
def connections(league: League) -> dict[str, InProcessConnection]:
    return {
        one.endpoint: InProcessConnection(one.endpoint, league.network.applications[one.endpoint])
        for one in league.marketplaces
    }


Connections = dict[str, InProcessConnection]


def client_of(league: League, connections: Connections, **options: Any) -> LeagueClient:
    return LeagueClient(
        list(connections), clock=league.clock, connect=lambda url: connections[url], **options
    )


async def published(league: League, *names: str) -> None:
    for name in names:
        await league.marketplaces[0].put(name, name=name)
    await league.settle()


class Following:
    """A task that follows."""

    def __init__(self, events: AsyncIterator[LeagueEvent]) -> None:
        self.positions: list[int] = []
        self.task = asyncio.create_task(self._run(events))

    async def _run(self, events: AsyncIterator[LeagueEvent]) -> None:
        async for event in events:
            self.positions.append(event.position)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def later(league: League, condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        await league.clock.advance(1)
        await league.settle()
    assert condition()


async def test_events_are_read_page_by_page_and_are_verified(
    league: League, connections: Connections
) -> None:
    await published(league, "one", "two", "three")
    async with client_of(league, connections, members=league.registered) as client:
        events = [event async for event in client.events()]
        assert [event.position for event in events] == [1, 2, 3]
        assert {event.content.issuer for event in events} == {league.marketplaces[0].did}
        assert [event.position async for event in client.events(after=1, limit=1)] == [2]
        assert await client.position() == 3


async def test_a_selection_selects(league: League, connections: Connections) -> None:
    await published(league, "one", "two")
    two = league.marketplaces[0].id("two")
    async with client_of(league, connections) as client:
        selection = LedgerQuery(entities=(two,), entity_types=("ProductOffering",))
        assert [event.position async for event in client.events(selection)] == [2]
        nothing = LedgerQuery(lifecycle_statuses=("Retired",))
        assert [event async for event in client.events(nothing)] == []


async def test_an_entity_is_retrieved_by_its_hash(league: League, connections: Connections) -> None:
    await published(league, "one")
    async with client_of(league, connections) as client:
        events = [event async for event in client.events()]
        body = await client.entity(events[0])
    assert hashlink(body) == events[0].content.hashlink


class Forgetful(InProcessConnection):
    """To a marketplace that has no entities any more."""

    async def request(self, method: str, path: str, **options: Any) -> ClientResponse:
        if path.startswith("/league/v1/entities/"):
            return ClientResponse(404, {}, b"{}")
        return await super().request(method, path, **options)


async def test_a_version_that_no_marketplace_has_is_requested_of_its_issuer_where_that_is_now(
    league: League, connections: Connections
) -> None:
    """Wherever a document says that it was, or a liar says that it is."""
    await published(league, "one")
    lubeck, bergen = connections
    forgetful = Forgetful(bergen, league.network.applications[bergen])
    asked: list[str] = []

    def connect(url: str) -> InProcessConnection:
        asked.append(url)
        return forgetful if url == bergen else connections[url]

    client = LeagueClient([bergen], clock=league.clock, connect=connect)
    async with client:
        events = [event async for event in client.events()]
        moved = msgspec.structs.replace(events[0], location="http://169.254.169.254/latest")
        assert hashlink(await client.entity(moved)) == moved.content.hashlink
        assert asked == [bergen, lubeck], "no address but those of the registry"
        league.network.applications[lubeck] = forgetful._application
        connections[lubeck] = Forgetful(lubeck, forgetful._application)
        with pytest.raises(Refused) as refused:
            await client.entity(moved)
        assert refused.value.code is not Code.HASH_MISMATCH


async def test_what_is_committed_is_followed(league: League, connections: Connections) -> None:
    await published(league, "before")
    async with (
        client_of(league, connections) as client,
        Following(client.follow(after=0)) as past,
        Following(client_of(league, connections).follow()) as new,
    ):
        await until(lambda: past.positions == [1] and connections[client.url].streams == 2)
        await published(league, "one", "two")
        await later(league, lambda: past.positions == [1, 2, 3] and new.positions == [2, 3])


async def test_a_stream_that_breaks_is_opened_elsewhere_and_no_event_is_missing_or_twice(
    league: League, connections: Connections
) -> None:
    lubeck, bergen = connections.values()
    lubeck.messages_max = 2
    bergen.messages_max = 3
    await published(league, *map(str, range(9)))
    async with client_of(league, connections) as client, Following(client.follow(after=0)) as following:
        await later(league, lambda: len(following.positions) >= 9)
    assert following.positions == list(range(1, 10))
    assert lubeck.streams + bergen.streams > 2


async def test_a_marketplace_that_is_away_is_passed_over(league: League, connections: Connections) -> None:
    lubeck, bergen = connections.values()
    lubeck.is_reachable = False
    await published(league, "one")
    async with client_of(league, connections) as client:
        assert [event.position async for event in client.events()] == [1]
        assert client.url == bergen.url
        bergen.is_reachable = False
        with pytest.raises(Unavailable):
            await client.position()


def forging(application: Application) -> Application:
    """An application that changes each event of a page."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/league/v1/events":
            await application(scope, receive, send)
            return
        body = b""

        async def keep(message: Any) -> None:
            nonlocal body
            body += message.get("body", b"")

        await application(scope, receive, keep)
        page = msgspec.json.decode(body)
        for row in page["events"]:
            row["event"]["entity"]["version"] = 7
        await JSONResponse(page)(scope, receive, send)

    return answer


async def test_an_event_that_its_issuer_did_not_sign_is_refused(
    league: League, connections: Connections
) -> None:
    await published(league, "one")
    (url, honest), *_ = connections.items()
    forged = InProcessConnection(url, forging(honest._application))
    client = LeagueClient([url], league.registered, clock=league.clock, connect=lambda _: forged)
    with pytest.raises(Refused) as refused:
        [event async for event in client.events()]
    assert refused.value.code is Code.EVENT_SIGNATURE_INVALID


async def test_marketplaces_that_disagree_about_the_members_are_not_believed(
    league: League, connections: Connections
) -> None:
    async with client_of(league, connections) as client:
        assert len(await client.members()) == 2

    async def liar(scope: Scope, receive: Receive, send: Send) -> None:
        rows = [{"member": one, "keys": (), "endpoints": ()} for one in league.registered[:1]]
        await JSONResponse(msgspec.to_builtins(rows))(scope, receive, send)

    second = list(connections)[1]
    connections[second] = InProcessConnection(second, liar)
    with pytest.raises(Refused) as refused:
        await client_of(league, connections).members()
    assert refused.value.code is Code.CONFLICT


async def test_a_client_needs_an_address() -> None:
    with pytest.raises(Refused):
        LeagueClient([])


def test_without_an_event_loop_the_same_is_read() -> None:
    """Each call runs until it has its result."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        document = {"position": 0, "events": [], "scanned_to": 0, "last_position": 0}
        await JSONResponse(document)(scope, receive, send)

    connection = InProcessConnection("https://lubeck.example", page)
    with BlockingLeagueClient([connection.url], (), connect=lambda _: connection) as client:
        assert client.position() == 0
        assert list(client.events()) == []
        connection.is_reachable = False
        with pytest.raises(Unavailable):
            next(client.follow(after=0))


@pytest.mark.parametrize(
    ("lines", "events"),
    [
        ([b": hello", b"", b"id: 1", b"data: a", b""], [("1", "message", "a")]),
        ([b"id:2", b"event: x", b"data: a", b"data: b", b""], [("2", "x", "a\nb")]),
        ([b"id: 3", b""], [("3", "message", "")]),
        ([b"retry: 3", b""], []),
        ([b"data: \xff", b""], [("", "message", "�")]),
    ],
)
def test_lines_make_events(lines: list[bytes], events: list[tuple[str, str, str]]) -> None:
    stream = StreamLines()
    made = [one for one in map(stream.feed, lines) if one is not None]
    assert [(one.id, one.name, one.data) for one in made] == events
