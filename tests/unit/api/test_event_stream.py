"""`/league/v1/events/stream`: what a client that follows reads."""

from __future__ import annotations

import asyncio
import itertools

import msgspec

from hansa.core.limits import Limits
from tests.support.asgi import Message
from tests.support.conditions import until
from tests.support.league import League, Marketplace

EVENTS = "/league/v1/events"


async def published(league: League, *names: str) -> Marketplace:
    lubeck = league.marketplaces[0]
    for name in names or ("one",):
        await lubeck.put(name, name=name)
    await league.settle()
    return lubeck


class Stream:
    """A client that reads server-sent events until it hangs up."""

    def __init__(self, member: Marketplace, query: str = "", **headers: str) -> None:
        self.messages: list[Message] = []
        self._hung_up = asyncio.Event()
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": EVENTS + "/stream",
            "raw_path": (EVENTS + "/stream").encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        self._task: asyncio.Task[None] = asyncio.create_task(
            member.league.network.applications[member.endpoint](self._scope, self._receive, self._send)  # type: ignore[arg-type]
        )

    async def _receive(self) -> Message:
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    async def hang_up(self) -> None:
        self._hung_up.set()
        await self._task


async def test_the_stream_tells_what_is_there_and_what_comes(league: League) -> None:
    lubeck = await published(league, "one")
    stream = Stream(league.marketplaces[1])
    await until(lambda: "id: 1\n" in stream.text)
    await lubeck.put("two")
    await league.run(1)  # a stream rests between two pages
    await until(lambda: "id: 2\n" in stream.text)
    assert dict(stream.messages[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    blocks = [block for block in stream.text.split("\n\n") if "data: " in block]
    lines = dict(line.split(": ", 1) for line in blocks[0].splitlines())
    assert lines["event"] == "productOfferingCreateEvent"
    assert msgspec.json.decode(lines["data"])["event"]["issuer"] == lubeck.did
    await stream.hang_up()


async def test_head_of_a_stream_is_that_of_the_stream_and_ends(league: League) -> None:
    lubeck = await published(league, "one")
    answer = await lubeck.client.request("HEAD", EVENTS + "/stream")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_first_pages_of_many_streams_let_others_have_their_turn(league: League) -> None:
    lubeck = league.marketplaces[0]
    await published(league, *(f"number-{number}" for number in range(60)))
    streams = [Stream(lubeck, f"type=productOfferingCreateEvent,type-{number}") for number in range(40)]
    pages: list[int] = []

    async def watch() -> None:
        while len(pages) < 10_000:
            pages.append(sum("id: 60\n" in stream.text for stream in streams))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await until(lambda: all("id: 60\n" in stream.text for stream in streams))
    watching.cancel()
    steps = [later - earlier for earlier, later in itertools.pairwise(pages)]
    assert max(steps) <= 1, "no turn of the loop makes the pages of two streams"
    for stream in streams:
        await stream.hang_up()


async def test_the_stream_goes_on_where_a_client_left_off(league: League) -> None:
    lubeck = await published(league, "one", "two", "three")
    resumed = Stream(lubeck, "after=0", last_event_id="2")
    later = Stream(lubeck, "after=1&type=categoryCreateEvent", accept="application/cloudevents+json")
    await until(lambda: "id: 3\n" in resumed.text)
    assert "id: 2\n" not in resumed.text
    await league.run(1)  # a stream rests between two pages
    await until(lambda: "id: 3\n\n" in later.text)  # nothing matched, and the client need not look again
    assert "data:" not in later.text
    await lubeck.put("cat", "Launched", "Category")
    await league.run(1)
    await until(lambda: '"specversion":"1.0"' in later.text)
    await resumed.hang_up()
    await later.hang_up()


async def test_a_quiet_stream_is_kept_alive(league: League) -> None:
    stream = Stream(league.marketplaces[0])
    await league.run(31)
    assert stream.text.count(": still here") == 2
    await stream.hang_up()


async def test_there_are_only_so_many_streams() -> None:
    async with League(["lubeck"], Limits(streams_max=2)) as league:
        (lubeck,) = league.marketplaces
        streams = [Stream(lubeck) for _ in range(2)]
        await until(lambda: all(stream.text for stream in streams))
        refused = Stream(lubeck)
        await until(lambda: refused.messages)
        assert refused.status == 429
        await streams[0].hang_up()
        again = Stream(lubeck)
        await until(lambda: again.text)
        assert again.status == 200
        await again.hang_up()
        await streams[1].hang_up()


async def test_streams_that_are_opened_at_once_are_counted_too() -> None:
    async with League(["lubeck"], Limits(streams_max=2)) as league:
        (lubeck,) = league.marketplaces

        async def open_many() -> None:
            streams = [Stream(lubeck) for _ in range(6)]
            malformed = [Stream(lubeck, "type=a,,b") for _ in range(3)]
            await until(lambda: all(stream.messages for stream in (*streams, *malformed)))
            assert sorted(stream.status for stream in streams) == [200, 200, 429, 429, 429, 429]
            for stream in streams:
                await stream.hang_up()

        await open_many()
        await open_many()  # none is counted for ever


async def test_a_bad_last_event_id_is_refused(league: League) -> None:
    stream = Stream(league.marketplaces[0], last_event_id="-7")
    await until(lambda: stream.messages)
    assert stream.status == 400
