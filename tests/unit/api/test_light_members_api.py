"""What members without an engine request: the state in parts, batches, and a place for a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from starlette.routing import Route

from hansa.api.light_members import LedgerPartsApi, SubmissionsApi
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.node.http.application import rest_application
from hansa.pubsub.ledger.history.segment import decode_segment, decompressed
from hansa.pubsub.ledger.reading.parts import StateParts, section_tag
from hansa.pubsub.light_member.wire import BATCHES_PATH, STATE_PATH, TRANSACTIONS_PATH
from tests.support.asgi import AsgiClient
from tests.support.followed_league import FollowedLeague

LIMITS = Limits(transaction_size_max_bytes=1000)


class Callers:
    """Whoever says who it is."""

    async def member(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """See `CallerCheck`."""
        del method, url, body
        return headers.get("who")


class Ledger:
    """Judges as it is told to."""

    def __init__(self) -> None:
        self.error: HansaError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.taken: list[bytes] = []

    async def submit(self, transaction: bytes) -> None:
        """See `Submits`."""
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.taken.append(transaction)


@pytest.fixture
def league() -> FollowedLeague:
    made = FollowedLeague()
    made.grow(3)
    return made


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def client(league: FollowedLeague, ledger: Ledger) -> AsgiClient:
    parts = LedgerPartsApi(league.ledger.bus(), LIMITS)
    submissions = SubmissionsApi(ledger, Callers(), LIMITS)
    routes = [
        Route(STATE_PATH, parts.state, methods=["GET"]),
        Route(BATCHES_PATH, parts.batches, methods=["GET"]),
        Route(TRANSACTIONS_PATH, submissions.add, methods=["POST"]),
    ]
    return AsgiClient(rest_application(routes))


async def test_a_state_has_the_records_of_what_the_caller_does_not_know(client: AsgiClient) -> None:
    whole = msgspec.json.decode((await client.get(STATE_PATH)).body, type=StateParts)
    with_records = [one for one in whole.sections if one.records is not None]
    assert {"registry", "issuers", "validators"} <= {one.name for one in with_records}
    known = "".join(section_tag(one.name, one.content) for one in with_records if one.name != "registry")
    rest = msgspec.json.decode((await client.get(f"{STATE_PATH}?known={known}")).body, type=StateParts)
    assert rest.contents == whole.contents
    assert [one.name for one in rest.sections if one.records is not None] == ["registry"]


async def test_batches_go_on_after_a_position(client: AsgiClient) -> None:
    batches = decode_segment(decompressed((await client.get(f"{BATCHES_PATH}?after=2")).body))
    assert [one.first_position for one in batches] == [3, 5]
    beyond = decode_segment(decompressed((await client.get(f"{BATCHES_PATH}?after=600")).body))
    assert beyond == []


@pytest.mark.parametrize(
    "query", [f"{STATE_PATH}?known=xyz", f"{STATE_PATH}?known={'0' * 12 * 65}", f"{BATCHES_PATH}?after=-1"]
)
async def test_what_cannot_be_read_is_refused(client: AsgiClient, query: str) -> None:
    assert (await client.get(query)).status == 400


async def test_a_transaction_of_a_member_gets_a_verdict(client: AsgiClient, ledger: Ledger) -> None:
    member = client.with_headers(who="did:web:visby.example")
    for error, verdict in (
        (None, {"outcome": "waits"}),
        (Refused(Code.BATCH_OUTDATED, "old"), {"outcome": "refused", "code": "batch-outdated"}),
        (
            Unavailable(Code.QUOTA_EXCEEDED, "much", 2.0),
            {"outcome": "later", "code": "quota-exceeded", "wait_s": 2.0},
        ),
    ):
        ledger.error = error
        response = await member.post(TRANSACTIONS_PATH, {"kind": "events"})
        assert (response.status, response.json()) == (200, verdict)
    assert len(ledger.taken) == 1


async def test_strangers_and_what_is_too_large_are_refused_and_no_verdict_is_made_up(
    client: AsgiClient, ledger: Ledger
) -> None:
    assert (await client.post(TRANSACTIONS_PATH, {"kind": "events"})).status == 401
    member = client.with_headers(who="did:web:visby.example")
    assert (await member.post(TRANSACTIONS_PATH, {"kind": "x" * 1000})).status == 413
    ledger.error = Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")
    assert (await member.post(TRANSACTIONS_PATH, {"kind": "events"})).status == 503
    assert ledger.taken == []


async def test_a_member_has_few_transactions_under_way_and_shuts_out_nobody(
    client: AsgiClient, ledger: Ledger
) -> None:
    ledger.gate.clear()
    greedy, modest = (client.with_headers(who=f"did:web:{name}.example") for name in ("greedy", "modest"))
    waiting = [asyncio.create_task(greedy.post(TRANSACTIONS_PATH, {"kind": "events"})) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    other = asyncio.create_task(modest.post(TRANSACTIONS_PATH, {"kind": "events"}))
    for _ in range(20):
        await asyncio.sleep(0)
    ledger.gate.set()
    statuses = sorted([(await one).status for one in waiting])
    assert statuses == [200, 200, 429, 429, 429]
    assert (await other).status == 200
