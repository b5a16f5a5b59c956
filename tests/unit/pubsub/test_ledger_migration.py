"""The state of an earlier release is brought to this one, and answers as before."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from hansa.core.errors import Code, Fatal
from hansa.core.events import decode_event
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger_records import EventFilter
from tests.support.ledgers import Ledger
from tests.support.old_states import as_schema_4


@pytest.fixture
def contents(tmp_path: Path) -> list[bytes]:
    """Those of a ledger in `state.db`, of the schema before."""
    ledger = Ledger(tmp_path / "state.db", LedgerParams())
    origin = ledger.lubeck
    contents = [
        origin.event("a"),
        origin.event("b"),
        origin.event("a", "StateChange"),
        origin.event("a", "Delete"),
    ]
    assert ledger.commit(origin.batch(*contents[:2])) == [None]
    assert ledger.commit(origin.batch(*contents[2:])) == [None]
    ledger.state.close()
    as_schema_4(tmp_path / "state.db")
    return contents


def test_an_earlier_state_answers_as_before(tmp_path: Path, contents: list[bytes]) -> None:
    state = SqliteState(tmp_path / "state.db")
    reader = LedgerReader(state.connection)
    did = (
        state.members[0].did
        if state.head.position == 0
        else reader.events(0, EventFilter()).events[0].event.issuer
    )
    events = [decode_event(content, did) for content in contents]
    places = reader.positions(did, [event.id for event in events]).events
    assert [places[event.id][0] for event in events] == [1, 2, 3, 4]
    assert reader.event_position(events[2].id) == 3
    page = reader.events(0, EventFilter(keys=(events[0].entity.key,)))
    assert [one.position for one in page.events] == [1, 3, 4]
    page = reader.events(1, EventFilter(keys=(events[0].entity.key, events[1].entity.key)), 2)
    assert [one.position for one in page.events] == [2, 3]
    (claim,) = reader.claims([events[0].entity.key])
    assert (claim.first_position, claim.last_position, claim.is_deleted) == (1, 4, True)
    state.close()


def test_an_earlier_state_that_contradicts_itself_is_refused_and_left_alone(
    tmp_path: Path, contents: list[bytes]
) -> None:
    del contents
    connection = apsw.Connection(str(tmp_path / "state.db"))
    connection.execute("DELETE FROM claim_bucket")
    connection.close()
    for _ in range(2):
        with pytest.raises(Fatal) as fatal:
            SqliteState(tmp_path / "state.db")
        assert fatal.value.code is Code.STORE_DAMAGED
