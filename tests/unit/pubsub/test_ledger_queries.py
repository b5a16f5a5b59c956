"""Questions to the ledger: bounds, and forms that are refused.

What they answer is the bus contract's business.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.pubsub.bus import EventFilter
from hansa.pubsub.ledger import queries
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.queries import EventsAnswer, EventsQuery, time_number, time_text
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import Origin

ORIGIN = Origin("lubeck")
KEY = ORIGIN.key_of("e")


@pytest.fixture
def application() -> LedgerApplication:
    return MemoryLedger([ORIGIN.member], ManualClock()).application


def ask(application: LedgerApplication, path: str, question: Any) -> bytes:
    return application.queries.answer(path, msgspec.json.encode(question))


@pytest.mark.parametrize(
    ("path", "question", "code"),
    [
        ("/nothing", {}, Code.NOT_FOUND),
        ("", {}, Code.NOT_FOUND),
        ("/events", {}, Code.INVALID),
        ("/events", [], Code.INVALID),
        ("/events", {"after": -1, "filter": {}}, Code.INVALID),
        ("/events", {"after": 0, "filter": {}, "limit": 0}, Code.INVALID),
        ("/events", {"after": 0, "filter": {"from_time": "2026-01-01T00:00:00"}}, Code.INVALID),
        ("/events", {"after": 0, "filter": {"to_time": "soon"}}, Code.INVALID),
        ("/events", {"after": 0, "filter": {"keys": [KEY] * 1001}}, Code.TOO_LARGE),
        ("/events", {"after": 0, "filter": {"types": ["x"] * 101}}, Code.TOO_LARGE),
        ("/claims", {"keys": ["x"]}, Code.INVALID),
        ("/claims", {"keys": [KEY] * 1001}, Code.TOO_LARGE),
        ("/positions", {"issuer": "did:x", "ids": ["x"]}, Code.INVALID),
        ("/positions", {"issuer": "did:x", "ids": [""] * 1001}, Code.TOO_LARGE),
        ("/check", {}, Code.TRANSACTION_MALFORMED),
    ],
)
def test_a_question_of_another_form_is_refused(
    application: LedgerApplication, path: str, question: Any, code: Code
) -> None:
    with pytest.raises(Refused) as refused:
        ask(application, path, question)
    assert refused.value.code is code


@pytest.mark.parametrize("path", ["/events", "/claims", "/positions", "/check", "/members", "/status"])
@given(data=st.binary(max_size=50))
def test_bytes_that_are_no_question_are_refused(path: str, data: bytes) -> None:
    ledger = MemoryLedger([ORIGIN.member], ManualClock())
    if path in {"/members", "/status"}:
        assert ledger.application.queries.answer(path, data)
    else:
        with pytest.raises(Refused):
            ledger.application.queries.answer(path, data)
    ledger.close()


def test_before_its_genesis_a_ledger_answers_nothing() -> None:
    application = LedgerApplication(SqliteState(MEMORY))
    with pytest.raises(Refused) as refused:
        ask(application, "/status", {})
    assert refused.value.code is Code.NOT_FOUND


async def test_one_question_looks_at_a_bounded_number_of_positions(
    application: LedgerApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SCANNED_POSITIONS_MAX", 4)
    ledger = MemoryLedger([ORIGIN.member], ManualClock())
    await ledger.bus().publish(ORIGIN.events(10), ORIGIN.signer)
    rare = EventFilter(types=("productOfferingDeleteEvent",))
    scanned = 0
    for expected in (4, 8, 10):
        page = await ledger.bus().search(scanned, rare)
        assert (page.events, page.scanned_to) == ((), expected)
        scanned = page.scanned_to
    by_key = EventFilter(keys=(KEY,))
    assert (await ledger.bus().search(0, by_key)).scanned_to == 10


async def test_one_answer_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = MemoryLedger([ORIGIN.member], ManualClock())
    events = ORIGIN.events(6)
    await ledger.bus().publish(events, ORIGIN.signer)
    monkeypatch.setattr(queries, "ANSWER_SIZE_MAX_BYTES", 2 * len(events[0]) + 10)
    page = await ledger.bus().search(0)
    assert (len(page.events), page.scanned_to) == (2, 2)
    monkeypatch.setattr(queries, "ANSWER_SIZE_MAX_BYTES", 1)
    assert len((await ledger.bus().search(0)).events) == 1


def test_a_question_can_ask_for_no_more_than_a_page(application: LedgerApplication) -> None:
    answer = ask(application, "/events", EventsQuery(0, EventFilter(), 10**9))
    assert msgspec.json.decode(answer, type=EventsAnswer) == EventsAnswer((), 0, 0)


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_written_is_the_time_read(time_ms: int) -> None:
    assert time_number(time_text(time_ms)) == time_ms


def test_a_fraction_of_a_millisecond_counts_as_the_next() -> None:
    assert time_number("1970-01-01T00:00:00.0001Z") == 1
    assert time_number("1970-01-01T01:00:00.001000+01:00") == 1


def test_only_engines_of_active_members_are_peers() -> None:
    lubeck, bergen = Origin("lubeck"), Origin("bergen", status="suspended")
    members = (
        msgspec.structs.replace(lubeck.member, node_ids=("a" * 40, "b" * 40)),
        msgspec.structs.replace(bergen.member, node_ids=("c" * 40,)),
    )
    application = LedgerApplication(SqliteState(MEMORY))
    application.init_chain(msgspec.json.encode(AppState(members)), 0)
    for accepted in ("id/" + "a" * 40, "id/" + "b" * 40, "addr/203.0.113.7:26656"):
        assert application.queries.answer(f"/p2p/filter/{accepted}", b"") == b""
    for refused in ("id/" + "c" * 40, "id/" + "d" * 40, "id/" + "A" * 40, "id/", "", "other/" + "a" * 40):
        with pytest.raises(Refused) as refusal:
            application.queries.answer(f"/p2p/filter/{refused}", b"")
        assert refusal.value.code is Code.FORBIDDEN
