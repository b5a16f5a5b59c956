"""Snapshots: taken beside the blocks, restored from strangers who lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.merkle import Frontier
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.claims import CLAIM_SIZE_BYTES
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.messages import Request
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder, StoredSnapshot
from hansa.pubsub.ledger.snapshots.manifest import FORMAT, MANIFEST, Chunk, StateManifest, read_manifest
from hansa.pubsub.ledger.snapshots.service import Offer, SnapshotService, Verdict, snapshot_service
from hansa.pubsub.ledger.snapshots.stream import StreamReader
from hansa.pubsub.ledger.snapshots.taking import (
    DISTANCES_MAX,
    EVENTS_BETWEEN,
    events_between,
    is_due,
    take_snapshot,
)
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import Head
from hansa.pubsub.ledger.state_machine import Block
from tests.support.ledgers import TIME_MS, Ledger

CHAIN: Any = "hansa-snapshots"
logger = structlog.get_logger()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """A ledger of 600 events."""
    ledger = Ledger(tmp_path_factory.mktemp("source") / "state.db", LedgerParams())
    for number in range(3):
        ledger.commit(
            ledger.lubeck.batch(*ledger.lubeck.events(100, f"a{number}")),
            ledger.bergen.batch(*ledger.bergen.events(100, f"b{number}")),
        )
    return ledger


@pytest.fixture(scope="module")
def taken(source: Ledger, tmp_path_factory: pytest.TempPathFactory) -> StoredSnapshot:
    """A snapshot of it, in chunks of 20 kB."""
    return take(source, tmp_path_factory.mktemp("taken"))


def take(source: Ledger, folder: Path) -> StoredSnapshot:
    stored = SnapshotFolder(folder)
    take_snapshot(source.state.connection, stored, CHAIN, lambda: None)
    return stored.list()[0]


def divided(snapshot: StoredSnapshot, size: int = 20_000) -> tuple[StateManifest, list[bytes]]:
    """The same state in smaller chunks."""
    whole = b"".join(snapshot.chunk(index) or b"" for index in range(len(snapshot.manifest.chunks)))
    chunks = [whole[at : at + size] for at in range(0, len(whole), size)]
    return with_chunks(snapshot.manifest, chunks), chunks


def with_chunks(manifest: StateManifest, chunks: Sequence[bytes]) -> StateManifest:
    entries = tuple(Chunk(hashlib.sha256(one).hexdigest(), len(one)) for one in chunks)
    return msgspec.structs.replace(manifest, chunks=entries)


class Newcomer:
    """A member without a ledger, to whom snapshots are offered."""

    def __init__(self, folder: Path) -> None:
        self.state = SqliteState(folder / "state.db")
        self.service: SnapshotService = snapshot_service(self.state, CHAIN, folder / "snapshots", logger)
        self.application = LedgerApplication(self.state, snapshots=self.service)

    def offer(self, manifest: StateManifest, app_hash: bytes | None = None, **changed: Any) -> Offer:
        raw = changed.pop("raw", manifest.write())
        fields = {
            "height": manifest.height,
            "format_number": FORMAT,
            "chunks": len(manifest.chunks),
            "digest": hashlib.sha256(raw).digest(),
            "metadata": raw,
            "app_hash": manifest.app_hash if app_hash is None else app_hash,
        }
        return self.service.offer(**{**fields, **changed})

    def restore(self, manifest: StateManifest, chunks: Sequence[bytes]) -> None:
        assert self.offer(manifest) is Offer.ACCEPT
        for index, chunk in enumerate(chunks):
            assert self.service.apply(index, chunk, "peer").verdict is Verdict.ACCEPT
        self.application.begin_at_snapshot()

    @property
    def is_untouched(self) -> bool:
        return self.state.is_empty and not self.state.connection.in_transaction


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    made = Newcomer(tmp_path)
    yield made
    made.service.abandon()
    made.state.close()


# -- what is restored ---------------------------------------------------------------------------------------


def test_a_newcomer_goes_on_from_a_snapshot_as_the_others_do(
    source: Ledger, newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    newcomer.restore(*divided(take(source, tmp_path_factory.mktemp("folder"))))
    state = newcomer.state
    assert state.head.app_hash == source.state.head.app_hash
    assert (state.members, state.params) == (source.state.members, source.state.params)
    assert state.validators == source.state.validators
    raw = source.lubeck.batch(*source.lubeck.events(100, "after"))
    block = source.block(raw)
    assert source.commit(raw) == [None]
    assert newcomer.application.process_proposal(block) is None
    assert newcomer.application.finalize_block(block).refusals == (None,)
    newcomer.application.commit()
    assert state.head == source.state.head
    assert newcomer.application.finalize_block(source.block(raw)).refusals[0] is not None


def test_a_restored_state_is_read_again_after_a_restart(
    taken: StoredSnapshot, newcomer: Newcomer, tmp_path: Path
) -> None:
    newcomer.restore(*divided(taken))
    head = newcomer.state.head
    newcomer.state.close()
    newcomer.state = SqliteState(tmp_path / "state.db")
    assert newcomer.state.head == head


def test_a_state_is_replaced_by_a_snapshot(taken: StoredSnapshot, newcomer: Newcomer) -> None:
    newcomer.restore(*divided(taken))
    newcomer.restore(*divided(taken, 100_000))
    assert newcomer.state.head.app_hash == taken.manifest.app_hash


def test_every_member_takes_the_same_snapshot(
    source: Ledger, newcomer: Newcomer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    snapshot = take(source, tmp_path_factory.mktemp("first"))
    newcomer.restore(*divided(snapshot))
    folder = SnapshotFolder(tmp_path_factory.mktemp("second"))
    take_snapshot(newcomer.state.connection, folder, CHAIN, lambda: None)
    again = folder.list()[0]
    assert again.raw == snapshot.raw
    assert again.chunk(0) == snapshot.chunk(0)


def test_an_empty_ledger_has_a_snapshot_too(tmp_path: Path, newcomer: Newcomer) -> None:
    ledger = Ledger(tmp_path / "empty.db")
    ledger.commit()
    newcomer.restore(*divided(take(ledger, tmp_path / "taken")))
    assert newcomer.state.head.app_hash == ledger.state.head.app_hash


# -- liars --------------------------------------------------------------------------------


def test_a_wrong_chunk_is_requested_again_and_its_sender_avoided(
    taken: StoredSnapshot, newcomer: Newcomer
) -> None:
    manifest, chunks = divided(taken)
    assert newcomer.offer(manifest) is Offer.ACCEPT
    wrong = [b"", chunks[0][:-1], chunks[0] + b"x", chunks[1], bytes(len(chunks[0])), b"\x00" * 16_000_000]
    for content in wrong:
        applied = newcomer.service.apply(0, content, "liar")
        assert (applied.verdict, applied.refetch, applied.rejected_senders) == (
            Verdict.RETRY,
            (0,),
            ("liar",),
        )
    for index, chunk in enumerate(chunks):
        assert newcomer.service.apply(index, chunk, "peer").verdict is Verdict.ACCEPT
    assert newcomer.state.head.app_hash == manifest.app_hash


def test_a_state_other_than_the_signed_one_is_refused_before_anything_is_fetched(
    taken: StoredSnapshot, newcomer: Newcomer
) -> None:
    manifest, _ = divided(taken)
    assert newcomer.offer(manifest, app_hash=bytes(32)) is Offer.REJECT_SENDER
    assert newcomer.is_untouched


def test_a_manifest_that_is_not_what_it_should_be_is_refused(
    taken: StoredSnapshot, newcomer: Newcomer
) -> None:
    manifest, _ = divided(taken)
    raw = manifest.write()
    groups = (bytes(32), *manifest.groups[1:])
    other_claims = manifest.sections.replaced({"claims": bytes(32)})
    wrong = {
        "cut off": raw[:-1],
        "longer": raw + b" ",
        "empty": b"",
        "other groups": msgspec.structs.replace(manifest, groups=groups).write(),
        "other claims": msgspec.structs.replace(manifest, sections=other_claims).write(),
        "another height": msgspec.structs.replace(manifest, height=manifest.height + 1).write(),
        "another league": msgspec.structs.replace(manifest, chain_id="hansa-other").write(),
        "another app_hash": raw.replace(manifest.app_hash.hex().encode(), b"0" * 64),
        "deep": b"[" * 100_000,
        "huge": b"x" * 4_000_000,
        "without chunks": raw.replace(b'"chunks":[', b'"chunks":[],"x":['),
        "an uncounted section": raw.replace(manifest.sections.content("registry").hex().encode(), b"00"),
    }
    for name, changed in wrong.items():
        assert changed != raw, name
        assert newcomer.offer(manifest, raw=changed) is Offer.REJECT_SENDER, name
    assert newcomer.offer(manifest, digest=bytes(32)) is Offer.REJECT_SENDER
    assert newcomer.offer(manifest, chunks=1) is Offer.REJECT_SENDER
    assert newcomer.offer(manifest, format_number=2) is Offer.REJECT_FORMAT
    assert newcomer.is_untouched


def test_a_ledger_whose_rules_need_all_events_has_no_use_for_a_state(
    taken: StoredSnapshot, newcomer: Newcomer
) -> None:
    fields = MANIFEST.read(taken.raw)
    unknown = MANIFEST.write({**fields, "ruleset": "hansa-ledger/99"})
    assert newcomer.offer(taken.manifest, raw=unknown) is Offer.REJECT
    with pytest.raises(Refused) as refused:
        read_manifest(unknown)
    assert refused.value.code is Code.RULES_DIFFER


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_state_but_the_signed_one_is_ever_taken(
    taken: StoredSnapshot, newcomer: Newcomer, data: st.DataObject
) -> None:
    """A liar makes a manifest whose hashes of chunks are those of its own bytes."""
    _, chunks = divided(taken)
    whole = bytearray(b"".join(chunks))
    what = data.draw(st.sampled_from(["flip", "cut", "insert", "swap", "extend"]))
    at = data.draw(st.integers(0, len(whole) - 1))
    if what == "flip":
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    elif what == "cut":
        del whole[at : at + data.draw(st.integers(1, 500))]
    elif what == "insert":
        whole[at:at] = data.draw(st.binary(min_size=1, max_size=300))
    elif what == "swap":
        whole[at:] = whole[at + 1 :] + whole[at : at + 1]
    else:
        whole += data.draw(st.binary(min_size=1, max_size=CLAIM_SIZE_BYTES * 2))
    size = data.draw(st.integers(1_000, 60_000))
    lies = [bytes(whole[at : at + size]) for at in range(0, len(whole), size)]
    if b"".join(lies) == b"".join(chunks):
        return
    assert newcomer.offer(with_chunks(taken.manifest, lies)) is Offer.ACCEPT
    verdicts = [newcomer.service.apply(index, chunk, "liar") for index, chunk in enumerate(lies)]
    assert verdicts[-1].verdict is Verdict.REJECT_SNAPSHOT
    assert any(verdict.rejected_senders == ("liar",) for verdict in verdicts)
    assert newcomer.is_untouched
    assert newcomer.state.connection.execute("SELECT count(*) FROM claim_bucket").fetchall() == [(0,)]


@given(st.lists(st.binary(max_size=2_000), max_size=20))
def test_arbitrary_bytes_are_refused_and_held_within_bounds(
    taken: StoredSnapshot, pieces: list[bytes]
) -> None:
    def read() -> None:
        reader = StreamReader(taken.manifest.sections)
        for piece in pieces:
            reader.feed(piece)
        reader.finish()

    with pytest.raises(Refused) as refused:
        read()
    assert refused.value.code is Code.MALFORMED


# -- interruptions ------------------------------------------------------------------------------------------


def test_an_interrupted_restoration_leaves_the_state_as_it_was(
    taken: StoredSnapshot, newcomer: Newcomer, tmp_path: Path
) -> None:
    manifest, chunks = divided(taken)
    for number in range(len(chunks)):
        assert newcomer.offer(manifest) is Offer.ACCEPT
        for index in range(number):
            newcomer.service.apply(index, chunks[index], "peer")
        newcomer.state.close()  # as at a crash: nothing was committed
        newcomer.state = SqliteState(tmp_path / "state.db")
        assert newcomer.is_untouched
        newcomer.service = snapshot_service(newcomer.state, CHAIN, tmp_path / "snapshots", logger)
        newcomer.application = LedgerApplication(newcomer.state, snapshots=newcomer.service)
    newcomer.restore(manifest, chunks)


def test_a_newcomer_that_goes_on_by_blocks_drops_a_snapshot(
    source: Ledger, taken: StoredSnapshot, newcomer: Newcomer
) -> None:
    manifest, chunks = divided(taken)
    newcomer.offer(manifest)
    newcomer.service.apply(0, chunks[0], "peer")
    newcomer.application.init_chain(msgspec.json.encode(source.genesis), TIME_MS)
    assert newcomer.state.head.height == 0
    newcomer.offer(manifest)
    newcomer.application.finalize_block(Block(1, TIME_MS + 1000, ()))
    newcomer.application.commit()
    assert newcomer.service.apply(1, chunks[1], "peer").verdict is Verdict.REJECT_SNAPSHOT
    assert newcomer.state.head.height == 1


def test_a_full_disk_ends_the_process_and_leaves_the_state_as_it_was(
    taken: StoredSnapshot, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, chunks = divided(taken)
    newcomer.state.connection.pragma("max_page_count", 40)
    assert newcomer.offer(manifest) is Offer.ACCEPT
    with pytest.raises(Fatal) as fatal:  # noqa: PT012 - at one of the chunks
        for index, chunk in enumerate(chunks):
            newcomer.service.apply(index, chunk, "peer")
    assert fatal.value.code is Code.DISK_FULL
    newcomer.service.abandon()
    newcomer.state.connection.pragma("max_page_count", 1_000_000)
    newcomer.restore(manifest, chunks)


# -- the folder --------------------------------------------------------------------------------


def test_two_snapshots_are_stored_and_what_a_crash_left_is_removed(source: Ledger, tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    for _ in range(3):
        source.commit()
        take_snapshot(source.state.connection, folder, CHAIN, lambda: None)
    newest = source.state.head.height
    (tmp_path / f"{newest + 1}.partial").mkdir()
    (tmp_path / str(newest - 1) / "manifest.json").write_bytes(b"{}")
    again = SnapshotFolder(tmp_path)
    assert [one.manifest.height for one in again.list()] == [newest]
    again.prune()
    assert {path.name for path in tmp_path.iterdir()} == {str(newest), str(newest - 1)}
    assert again.find(newest - 1) is None
    snapshot = again.find(newest)
    assert snapshot is not None
    assert snapshot.chunk(-1) is snapshot.chunk(10**6) is None


def test_snapshots_are_taken_beside_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.pubsub.ledger.snapshots.taking.BLOCKS_BETWEEN", 4)
    ledger = Ledger(tmp_path / "state.db")
    service = snapshot_service(ledger.state, CHAIN, tmp_path / "snapshots", logger)
    ledger.application.snapshots = service
    service.start()
    hashes = {}
    for _ in range(4):
        ledger.vote(ledger.lubeck.batch(*ledger.lubeck.events(5)))
        hashes[ledger.state.head.height] = ledger.state.head.app_hash
    service.close()
    service._taker._thread.join(60)
    assert [(one.manifest.height, one.manifest.app_hash) for one in service.offered()] == [(4, hashes[4])]


def test_a_snapshot_that_cannot_be_written_is_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hansa.pubsub.ledger.snapshots.taking.BLOCKS_BETWEEN", 1)
    ledger = Ledger(tmp_path / "state.db")
    (tmp_path / "snapshots").write_bytes(b"a file, where a folder is expected")
    service = snapshot_service(ledger.state, CHAIN, tmp_path / "snapshots", logger)
    ledger.application.snapshots = service
    service.start()
    for _ in range(3):
        ledger.vote()
    service.close()
    service._taker._thread.join(60)
    assert not service.offered()
    assert ledger.state.head.height == 3


def test_whoever_catches_up_takes_no_snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.pubsub.ledger.snapshots.taking.BLOCKS_BETWEEN", 1)
    ledger = Ledger(tmp_path / "state.db")
    service = snapshot_service(ledger.state, CHAIN, tmp_path / "snapshots", logger)
    ledger.application.snapshots = service
    service.start()
    for _ in range(5):
        ledger.commit()
    ledger.application.process_proposal(ledger.block(b"another block than the decided one"))
    ledger.commit()
    ledger.vote()
    service.close()
    service._taker._thread.join(60)
    assert [one.manifest.height for one in service.offered()] == [7]


@given(st.integers(1, 10**8))
def test_snapshots_are_as_far_apart_as_the_ledger_is_large(events: int) -> None:
    between = events_between(events)
    assert between == EVENTS_BETWEEN or events / DISTANCES_MAX / 2 < between < events / DISTANCES_MAX * 2
    assert events_between(events + 1) >= between


def test_a_snapshot_is_due_where_the_events_pass_a_multiple() -> None:
    def head(height: int, events: int) -> Head:
        return Head(height, 0, Frontier(events), b"")

    assert is_due(head(8, 9_999), head(9, 10_000))
    assert not is_due(head(8, 10_000), head(9, 19_999))
    assert is_due(head(999, 5), head(1000, 5))
    assert not is_due(head(8, 989_999), head(9, 990_000)), "a ledger of a million has them further apart"


# -- ABCI --------------------------------------------------------------------------------


def test_the_engine_gets_snapshots_and_gives_them(
    taken: StoredSnapshot, newcomer: Newcomer, tmp_path: Path
) -> None:
    from hansa.core.clock import ManualClock
    from hansa.pubsub.ledger.methods import AbciMethods

    abci = AbciMethods(newcomer.application, ManualClock(), logger)
    manifest, raw = taken.manifest, taken.raw
    snapshot = {
        "height": manifest.height,
        "format": FORMAT,
        "chunks": len(manifest.chunks),
        "hash": hashlib.sha256(raw).digest(),
        "metadata": raw,
    }
    offer = {"snapshot": snapshot, "app_hash": manifest.app_hash}
    answer = abci.answer(Request(offer_snapshot=offer))
    assert answer.offer_snapshot.result == 1
    chunk = taken.chunk(0)
    answer = abci.answer(Request(apply_snapshot_chunk={"index": 0, "chunk": b"wrong", "sender": "liar"}))
    assert list(answer.apply_snapshot_chunk.reject_senders) == ["liar"]
    assert list(answer.apply_snapshot_chunk.refetch_chunks) == [0]
    answer = abci.answer(Request(apply_snapshot_chunk={"index": 0, "chunk": chunk, "sender": "peer"}))
    assert answer.apply_snapshot_chunk.result == 1
    info = abci.answer(Request(info={})).info
    assert (info.last_block_height, info.last_block_app_hash) == (manifest.height, manifest.app_hash)
    take_snapshot(newcomer.state.connection, newcomer.service._folder, CHAIN, lambda: None)
    listed = abci.answer(Request(list_snapshots={})).list_snapshots.snapshots
    assert [one.metadata for one in listed] == [raw]
    load = {"height": manifest.height, "format": FORMAT, "chunk": 0}
    assert abci.answer(Request(load_snapshot_chunk=load)).load_snapshot_chunk.chunk == chunk
    load["chunk"] = 5
    assert abci.answer(Request(load_snapshot_chunk=load)).load_snapshot_chunk.chunk == b""
