"""What is no request for confidential entities, and no answer; and the command that makes the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.cli.catalogue import restoring
from hansa.cli.catalogue.restoring import RestoreReport, restore_confidential
from hansa.cli.output import Output
from hansa.core.errors import Code
from hansa.replication.confidential import return_exchange
from hansa.replication.confidential.return_exchange import (
    LOST_PATH,
)
from hansa.replication.continuity import sealed_restoration
from tests.support.confidential import events_of, put, replica, settle
from tests.support.in_process import InProcessClient
from tests.support.league import League
from tests.support.sealed_restoration import NAMES, ask, lose, parties, returned


@pytest.fixture
async def league() -> AsyncIterator[League]:
    async with League(NAMES) as league:
        league.start()
        yield league


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"positions":[]}',
        b'{"positions":[0]}',
        b'{"positions":[-1]}',
        b'{"positions":[2,1]}',
        b'{"positions":[1,1]}',
        b'{"positions":["1"]}',
        b'{"positions":[1.5]}',
        b'{"positions":[1],"more":1}',
        b'{"positions":[99999999999999999999999999]}',
        msgspec.json.encode({"positions": list(range(1, return_exchange.POSITIONS_MAX + 2))}),
        b"[" * 4000,
        b" " * 5000,
    ],
)
async def test_what_is_no_request_is_refused(league: League, body: bytes) -> None:
    lubeck, bergen, *_ = league.marketplaces
    answer = await ask(lubeck, bergen, body)
    assert 400 <= answer.status < 500


async def test_a_stranger_is_refused(league: League) -> None:
    bergen = league.marketplaces[1]
    answer = await bergen.client.request("POST", LOST_PATH, body=b'{"positions":[1]}')
    assert answer.status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[" * 1000,
        b'{"position":1,"status":"later"}\n',
        b'{"position":2,"status":"unknown"}\n',
        b'{"position":1,"status":"opened"}\n',
        b'{"position":1,"status":"unknown","part":"AA=="}\n',
        b'{"position":1,"status":"opened","sealed":"short","part":"AA=="}\n',
        b'{"position":1,"status":"unknown"}\n{"position":2,"status":"unknown"}\n',
    ],
)
async def test_a_member_that_answers_in_another_form_is_reported(league: League, body: bytes) -> None:
    lubeck, bergen, *_ = league.marketplaces
    order = await put(lubeck, "ProductOrder", relatedParty=parties(bergen, lubeck))
    await settle(league)
    await lose(lubeck)
    league.network.faults[bergen.endpoint] = lambda request, answer: (
        msgspec.structs.replace(answer, body=body) if request.url.endswith(LOST_PATH) else answer
    )
    part = await returned(lubeck)
    assert part.restored == 0
    assert {one.did: one.problem for one in part.sources}[bergen.did] == str(Code.RETRIEVAL_ANSWER_INVALID)
    assert await replica(lubeck, order) is None


async def test_the_command_restores_them_and_says_what_nobody_opens(
    league: League, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed_restoration, "POSITIONS_MAX", 3)
    monkeypatch.setattr(restoring, "RETRY_S", 0.0)
    lubeck, bergen, riga, _ = league.marketplaces
    for n in range(7):
        await put(lubeck, "ProductOrder", relatedParty=parties(bergen if n else riga), n=n)
    await settle(league)
    await lose(lubeck)
    league.network.down.add(riga.endpoint)

    class Operator(InProcessClient):
        """Answers what the node itself does."""

        async def get(self, path: str, parameters: object = ()) -> object:
            del path, parameters
            return [{"did": one.did, "name": one.name} for one in league.marketplaces]

    client = Operator(league.network.applications[lubeck.endpoint], "otto:operator")
    report = RestoreReport("http://x")
    await restore_confidential(client, report, Output(as_json=True), league.clock)
    done = report.confidential
    assert (done.restored, done.present, done.unopened) == (6, 0, 1)
    assert {one.name: one.problem for one in report.sources}["riga"] is not None
    (order_of_riga,) = [one.position for one in await events_of(league) if one.position == done.unopened_to]
    assert order_of_riga > 0
