"""The history behind a snapshot: fetched segment by segment from strangers, and nothing of it believed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.history.filling import HistoryFiller
from hansa.pubsub.ledger.history.segment import (
    compressed,
    decode_segment,
    decompressed,
    encode_segment,
    segment_of,
)
from hansa.pubsub.ledger.reading import LedgerReader
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger_records import EventFilter
from tests.support.ledgers import Ledger
from tests.unit.pubsub.test_ledger_snapshots import Newcomer, divided, take

EVENTS = 4550
BATCH = 91


class Scene:
    """A ledger with a history, and a newcomer that has its state alone."""

    def __init__(self, folder: Path) -> None:
        self.source = Ledger(folder / "source.db", LedgerParams(issuer_burst_s=3600))
        for number in range(EVENTS // BATCH):
            lubeck = self.source.lubeck
            assert self.source.commit(lubeck.batch(*lubeck.events(BATCH, f"e{number}"))) == [None]
        self.snapshot = take(self.source, folder / "taken")

    def newcomer(self, folder: Path) -> Newcomer:
        newcomer = Newcomer(folder)
        newcomer.restore(*divided(self.snapshot))
        return newcomer

    def segment(self, number: int) -> bytes:
        return decompressed(LedgerReader(self.source.state.connection).history_segment(number))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("history"))


@pytest.fixture
def newcomer(scene: Scene, tmp_path: Path) -> Iterator[Newcomer]:
    made = scene.newcomer(tmp_path)
    yield made
    made.state.close()


def fill(newcomer: Newcomer, raw: bytes) -> None:
    for _ in HistoryFiller(newcomer.state).fill(raw):
        pass


def fill_all(newcomer: Newcomer, scene: Scene) -> None:
    filler = HistoryFiller(newcomer.state)
    while (missing := filler.missing) is not None:
        fill(newcomer, scene.segment(segment_of(missing.first_position)))


def rows(state: SqliteState) -> list[tuple[Any, ...]]:
    """All that is served of the history, but for numbers that are of a file alone."""
    return (
        state.connection.execute(
            "SELECT event.position, batch, entity, name.text, time_ms, content, expanded_jws(jws) FROM event"
            " JOIN event_content USING (position) JOIN batch ON batch.first_position = event.batch"
            " JOIN name ON name.number = event.issuer ORDER BY 1"
        ).fetchall()
        + state.connection.execute(
            "SELECT * FROM (SELECT * FROM tile UNION ALL SELECT * FROM block) ORDER BY 1, 2, 3"
        ).fetchall()
    )


def test_the_history_is_filled_and_equal_to_that_of_the_others(
    scene: Scene, newcomer: Newcomer, tmp_path: Path
) -> None:
    reader = LedgerReader(newcomer.state.connection)
    page = reader.events(0, EventFilter())
    assert (page.events, page.last_position) == ((), 0)
    fill(newcomer, scene.segment(0))
    assert reader.events(0, EventFilter()).last_position >= 4096
    assert SqliteStateAgain(newcomer, tmp_path).head == newcomer.state.head
    fill_all(newcomer, scene)
    assert rows(newcomer.state) == rows(scene.source.state)
    reader = LedgerReader(newcomer.state.connection)
    assert reader.events(0, EventFilter()).last_position == EVENTS
    assert reader.missing() is None
    assert SqliteStateAgain(newcomer, tmp_path).head == newcomer.state.head


def SqliteStateAgain(newcomer: Newcomer, folder: Path) -> SqliteState:  # noqa: N802 - reads as a constructor
    """The state as it is after a restart, checked as at every start."""
    newcomer.state.close()
    newcomer.state = SqliteState(folder / "state.db")
    newcomer.application = LedgerApplication(newcomer.state)
    return newcomer.state


def test_blocks_go_on_while_the_history_is_filled(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    newcomer = scene.newcomer(tmp_path)
    filler = HistoryFiller(newcomer.state)
    for _ in filler.fill(scene.segment(0)):
        source = scene.source
        block = source.block(source.lubeck.batch(*source.lubeck.events(3)))
        assert source.commit(*block.transactions) == [None]
        assert newcomer.application.finalize_block(block).refusals == (None,)
        newcomer.application.commit()
    assert newcomer.state.head == scene.source.state.head
    reader = LedgerReader(newcomer.state.connection)
    page = reader.events(0, EventFilter(), 10)
    assert page.last_position < EVENTS, "what is behind a gap is not shown"
    with pytest.raises(Unavailable):
        reader.history_segment(1)
    fill_all(newcomer, scene)
    assert rows(newcomer.state) == rows(scene.source.state)
    assert SqliteStateAgain(newcomer, tmp_path).head == scene.source.state.head


def test_a_lie_is_refused_and_nothing_of_it_written(scene: Scene, newcomer: Newcomer) -> None:
    batches = decode_segment(scene.segment(0))
    first, second, third = batches[:3]
    replace = msgspec.structs.replace
    lies = {
        "empty": [],
        "another time": [replace(first, time_ms=first.time_ms + 1), *batches[1:]],
        "another height": [replace(first, height=first.height + 1), *batches[1:]],
        "another event": [replace(first, contents=(*first.contents[:-1], second.contents[0])), *batches[1:]],
        "an event fewer": [replace(first, contents=first.contents[:-1]), *batches[1:]],
        "a batch left out": [first, third, *batches[3:]],
        "batches exchanged": [
            replace(second, first_position=1),
            replace(first, first_position=92),
            *batches[2:],
        ],
        "another batch": [replace(first, jws=second.jws), *batches[1:]],
        "the next segment": decode_segment(scene.segment(1)),
        "too few to check": [first],
        "a wrong batch late": [*batches[:30], replace(batches[30], time_ms=7), *batches[31:]],
    }
    for name, lie in lies.items():
        with pytest.raises(HansaError) as refused:
            fill(newcomer, encode_segment(lie))
        assert refused.value.code in {Code.MALFORMED, Code.TRANSACTION_MALFORMED}, name
        assert newcomer.state.connection.execute("SELECT count(*) FROM event").fetchall() == [(0,)], name
    fill_all(newcomer, scene)


def test_a_segment_that_is_cut_short_is_taken_as_far_as_it_is_proved(
    scene: Scene, newcomer: Newcomer
) -> None:
    batches = decode_segment(scene.segment(0))
    fill(newcomer, encode_segment(batches[:20]))
    missing = HistoryFiller(newcomer.state).missing
    assert missing is not None
    assert 1 < missing.first_position <= batches[20].first_position
    fill_all(newcomer, scene)
    assert rows(newcomer.state) == rows(scene.source.state)


def test_arbitrary_bytes_are_refused(scene: Scene) -> None:
    raw, draw = scene.segment(1), random.Random(1)
    for _ in range(300):
        at = draw.randrange(len(raw))
        changed = raw[:at] + draw.randbytes(draw.randrange(9)) + raw[at + draw.randrange(9) :]
        try:
            decode_segment(changed)
        except Refused as refusal:
            assert refusal.code is Code.MALFORMED  # noqa: PT017 - many of them are segments, of other events


def test_a_bomb_is_not_blown_up() -> None:
    bomb = compressed(bytes(200_000_000))
    assert len(bomb) < 1_000_000
    for raw in (bomb, b"", b"x", compressed(b"abc")[:-1], compressed(b"abc") + b"x"):
        with pytest.raises(Refused) as refused:
            decompressed(raw)
        assert refused.value.code is Code.MALFORMED


def test_a_full_segment_never_changes(scene: Scene) -> None:
    before = scene.segment(0)
    batches = decode_segment(before)
    assert encode_segment(batches) == before
    assert all(segment_of(batch.first_position) == 0 for batch in batches)
    assert batches[-1].end > 4096
    with pytest.raises(Refused) as refused:
        scene.segment(2)
    assert refused.value.code is Code.NOT_FOUND


def test_a_crash_between_two_slices_leaves_a_shorter_history(
    scene: Scene, newcomer: Newcomer, tmp_path: Path
) -> None:
    for number, _ in enumerate(HistoryFiller(newcomer.state).fill(scene.segment(0))):
        if number == 25:
            break
    SqliteStateAgain(newcomer, tmp_path)
    missing = HistoryFiller(newcomer.state).missing
    assert missing is not None
    fill_all(newcomer, scene)
    assert rows(newcomer.state) == rows(scene.source.state)
