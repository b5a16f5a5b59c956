"""A marketplace that is restored from a backup without its ledger begins with a snapshot of the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.node.backup import restore_backup, write_backup
from hansa.node.folder import JOINING, LEDGER, LEDGER_STATE, LIGHT_BLOCKS
from hansa.node.joining.beginning import state_sync_of
from hansa.node.joining.mark import TRUST_PERIOD_S, Joining, read_joining, write_joining
from hansa.node.joining.unfinished import FAILED_STARTS_MAX, UnfinishedBeginning
from hansa.node.settings.loading import load_settings
from hansa.pubsub.engine import SIGNING_STATE, Exit
from hansa.pubsub.light.captured import CapturedBlocks
from tests.support.ledgers import Ledger
from tests.support.light_chain import START_NS, Signer, light_block

CLOCK = ManualClock(datetime.fromtimestamp(START_NS // 10**9, UTC))
NEWEST = light_block(8, [Signer("a")])


class Members:
    """All others, of which some have snapshots."""

    def __init__(self, *with_snapshots: str) -> None:
        self._with_snapshots = with_snapshots

    async def send(self, request: HttpRequest) -> HttpResponse:
        name = request.url.removeprefix("https://").partition(".")[0]
        if name not in self._with_snapshots:
            raise Unavailable(Code.UNAVAILABLE, "It does not answer.")
        body = {"chain_id": "a-league", "genesis": "00", "engine": "", "snapshots": [8]}
        return HttpResponse(200, {}, msgspec.json.encode(body))


@pytest.fixture
def folder(member_of_two: Path) -> Path:
    """A member that has followed its ledger up to height 8."""
    made = member_of_two
    Ledger(made / LEDGER_STATE).state.close()
    blocks = CapturedBlocks(made / LIGHT_BLOCKS)
    blocks.write([light_block(2, [Signer("a")]), NEWEST])
    blocks.close()
    return made


def restored(folder: Path, tmp_path: Path) -> Path:
    write_backup(folder, tmp_path / "b", CLOCK)
    restore_backup(tmp_path / "b", tmp_path / "restored", CLOCK)
    return tmp_path / "restored"


async def test_it_trusts_the_newest_block_that_it_had(folder: Path, tmp_path: Path) -> None:
    joining = read_joining(restored(folder, tmp_path))
    assert joining is not None
    assert (joining.trusted_height, joining.trusted_hash) == (8, NEWEST.header.hash.hex().upper())
    assert joining.members == ("https://bergen.example", "https://lubeck.example")
    sync = await state_sync_of(tmp_path / "restored", Members("lubeck", "bergen"), CLOCK)
    assert sync is not None
    assert (sync.height, sync.hash, len(sync.servers)) == (8, joining.trusted_hash, 2)


async def test_it_begins_with_blocks_where_no_two_members_have_a_snapshot(
    folder: Path, tmp_path: Path
) -> None:
    made = restored(folder, tmp_path)
    assert await state_sync_of(made, Members("lubeck"), CLOCK) is None
    assert await state_sync_of(made, Members(), CLOCK) is None


async def test_it_trusts_no_block_beyond_the_trust_period(folder: Path, tmp_path: Path) -> None:
    made = restored(folder, tmp_path)
    late = ManualClock(CLOCK.now() + timedelta(seconds=TRUST_PERIOD_S + 60))
    assert await state_sync_of(made, Members("lubeck", "bergen"), late) is None


def test_whoever_joined_stays_an_observer_and_trusts_the_newest_block(folder: Path, tmp_path: Path) -> None:
    before = Joining("2020-01-01T00:00:00.000Z", ("https://old.example",), 1, "A" * 64, is_observer=True)
    write_joining(folder, before)
    joining = read_joining(restored(folder, tmp_path))
    assert joining is not None
    assert (joining.trusted_height, joining.is_observer) == (8, True)
    assert read_joining(folder) == before, "the folder itself stays as it is"


@pytest.mark.parametrize("lost", [LEDGER_STATE, LIGHT_BLOCKS])
@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_backup_is_made_without_what_cannot_be_read(
    folder: Path, tmp_path: Path, lost: Path, is_damaged: bool
) -> None:
    for suffix in ("", "-wal", "-shm"):
        (folder / f"{lost}{suffix}").unlink(missing_ok=True)
    if is_damaged:
        (folder / lost).write_bytes(b"no database" * 1000)
    made = restored(folder, tmp_path)
    assert not (made / JOINING).exists()
    load_settings(made, {})


def test_a_damaged_note_is_reported_when_the_backup_is_made(folder: Path, tmp_path: Path) -> None:
    (folder / JOINING).write_text("{")
    with pytest.raises(Fatal, match=r"joining\.json"):
        write_backup(folder, tmp_path / "b", CLOCK)


def test_an_engine_that_observes_begins_again_when_it_cannot_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = restored(folder, tmp_path)
    monkeypatch.chdir(made)
    blocks = made / LEDGER / "data" / "state.db"
    blocks.mkdir(parents=True)
    assert not (LEDGER / SIGNING_STATE).exists()
    unfinished = UnfinishedBeginning()
    for _ in range(FAILED_STARTS_MAX):
        unfinished.clear()
        assert blocks.exists()
        unfinished.note_exit(Exit(status=1, uptime_s=1.0, is_requested=False))
    unfinished.clear()
    assert not blocks.exists()
