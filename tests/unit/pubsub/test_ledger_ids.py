"""Where the events with some ids are, whatever times their issuers gave them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import decode_event
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import IssuerBatch, LedgerReader
from tests.support.ledgers import Ledger

EVENTS = 300
"""All of one millisecond."""


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Ledger, list[str]]]:
    """A ledger, and the ids of one issuer's events."""
    ledger = Ledger(params=LedgerParams())
    ids: list[str] = []
    for number in range(3):
        contents = ledger.lubeck.events(EVENTS // 3, f"e{number}")
        ids += [decode_event(content, ledger.lubeck.did).id for content in contents]
        assert ledger.commit(ledger.lubeck.batch(*contents)) == [None]
    assert ledger.commit(ledger.bergen.batch(*ledger.bergen.events(5))) == [None]
    yield ledger, ids
    ledger.state.close()


def test_events_of_one_time_are_told_apart(scene: tuple[Ledger, list[str]]) -> None:
    ledger, ids = scene
    reader = LedgerReader(ledger.state.connection)
    places = reader.positions(ledger.lubeck.did, ids).events
    assert [places[event_id][0] for event_id in ids] == list(range(1, EVENTS + 1))
    assert reader.event_position(ids[-1]) == EVENTS
    assert reader.positions(ledger.bergen.did, ids).events == {}


def test_an_id_can_be_spelled_in_every_way_that_names_it(scene: tuple[Ledger, list[str]]) -> None:
    ledger, ids = scene
    spellings = [ids[7], ids[7].upper(), ids[7].replace("-", ""), f"{{{ids[7]}}}"]
    places = LedgerReader(ledger.state.connection).positions(ledger.lubeck.did, spellings).events
    assert {event_id: position for event_id, (position, _) in places.items()} == dict.fromkeys(spellings, 8)
    with pytest.raises(Refused) as refused:
        LedgerReader(ledger.state.connection).positions(ledger.lubeck.did, ["x"])
    assert refused.value.code is Code.INVALID


def test_a_batch_is_known_by_its_number_and_what_was_signed(scene: tuple[Ledger, list[str]]) -> None:
    ledger, _ = scene
    did, reader = ledger.lubeck.did, LedgerReader(ledger.state.connection)
    rows: list[tuple[Any, ...]] = ledger.state.connection.execute(
        "SELECT first_position, seq, expanded_jws(jws) FROM batch ORDER BY first_position LIMIT 1 OFFSET 2"
    ).fetchall()
    first, seq, jws = rows[0]
    assert reader.issuer_batch(did, seq, jws, first - 1) == IssuerBatch(first, seq, EVENTS + 5)
    for others in (
        (did, seq, f"{jws}x", 0),
        (did, seq + 1, jws, 0),
        (did, seq, jws, first),
        (ledger.bergen.did, seq, jws, 0),
    ):
        assert reader.issuer_batch(*others).first_position is None


def test_an_issuer_with_many_events_of_one_time_holds_no_reader_up(scene: tuple[Ledger, list[str]]) -> None:
    ledger, ids = scene
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks > 3:
            raise Unavailable(Code.SEARCH_TOO_SLOW, "It takes too long.")

    unknown = uuid.UUID(int=uuid.UUID(ids[0]).int ^ 1)
    with pytest.raises(Unavailable):
        LedgerReader(ledger.state.connection, check).positions(ledger.lubeck.did, [str(unknown)])
