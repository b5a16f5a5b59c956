from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.core.clock import ManualClock
from hansa.core.errors import EXIT_STATUS, Code, Refused
from hansa.node.backup import write_backup
from hansa.node.folder import LEDGER, OBSERVING, init_member
from hansa.node.validator.decisions import observe, sign
from hansa.node.validator.observing import Observing, Reason, Sighting, read_observing, write_observing
from hansa.node.validator.repair import ASIDE, repair_engine
from hansa.node.validator.round_log import crc32c, log_after
from hansa.pubsub.engine import SIGNING_STATE, SigningState, read_signing_state, write_signing_state
from tests.support.ledgers import Ledger

CLOCK = ManualClock()
runner = CliRunner()


@pytest.fixture
def folder(member_of_two: Path) -> Path:
    """A member of two whose engine has run."""
    made = member_of_two
    for name in ("data/cs.wal/wal", "data/blockstore.db/1", "data/state.db/1", "state.db", "state.db-wal"):
        (made / "ledger" / name).parent.mkdir(parents=True, exist_ok=True)
        (made / "ledger" / name).write_text(name)
    return made


def time_ns() -> int:
    return int(CLOCK.now().timestamp()) * 10**9


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    ("options", "moved"),
    [
        ({}, {"data/cs.wal/wal"}),
        ({"rebuilds_ledger": True}, {"data/cs.wal/wal", "state.db", "state.db-wal"}),
        (
            {"fetches_blocks": True},
            {"data/cs.wal/wal", "data/blockstore.db/1", "data/state.db/1", "state.db", "state.db-wal"},
        ),
    ],
    ids=["the log", "the ledger", "the blocks"],
)
def test_what_is_in_the_way_is_moved_and_nothing_else(
    folder: Path, options: dict[str, bool], moved: set[str]
) -> None:
    before = contents(folder)
    moves = repair_engine(folder, CLOCK, **options)
    after = {name: content for name, content in contents(folder).items() if not name.endswith("-shm")}
    after.pop("lock")
    if after.get("ledger/data/cs.wal/wal") == log_after(SigningState(41, 0, 3), time_ns()):
        after.pop("ledger/data/cs.wal/wal")
    gone = {f"ledger/{name}" for name in moved}
    assert {name: content for name, content in after.items() if "/aside/" not in name} == {
        name: content for name, content in before.items() if name not in gone
    }
    assert sorted(content for name, content in after.items() if "/aside/" in name) == sorted(
        before[name] for name in gone
    )
    assert all((folder / move.to).exists() for move in moves)
    assert read_signing_state(folder / LEDGER) == SigningState(41, 0, 3)


def test_an_engine_that_lost_its_memory_is_repaired_and_gets_none(folder: Path) -> None:
    (folder / LEDGER / SIGNING_STATE).unlink()
    assert repair_engine(folder, CLOCK)
    assert not (folder / LEDGER / SIGNING_STATE).exists()


def test_a_second_repair_overwrites_nothing(folder: Path) -> None:
    for _ in range(2):
        assert len(repair_engine(folder, CLOCK)) == 1
    assert len(list((folder / ASIDE).iterdir())) == 2


def test_an_engine_without_its_log_goes_on_after_the_round_that_it_voted_in(folder: Path) -> None:
    log = folder / "ledger/data/cs.wal/wal"
    for signed in (SigningState(41, 0, 3), SigningState(41, 7, 2)):
        write_signing_state(folder / LEDGER, signed)
        repair_engine(folder, CLOCK)
        assert log.read_bytes() == log_after(signed, time_ns())
        assert log.stat().st_mode & 0o077 == 0
    write_signing_state(folder / LEDGER, SigningState(41, 0, 1))
    repair_engine(folder, CLOCK)
    assert not log.exists(), "it has proposed, and not voted: it begins with round 0"


def test_records_have_the_checksum_that_the_engine_computes() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    end, over = log_after(SigningState(1, 2, 3), 0)[8:], log_after(SigningState(1, 2, 3), 0)
    assert int.from_bytes(over[:4], "big") == crc32c(end[: int.from_bytes(over[4:8], "big")])


def test_whoever_founded_a_league_alone_has_others_when_the_ledger_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    init_member(folder, "alone", "http://127.0.0.1:1", CLOCK, p2p_port=29009)
    (folder / "ledger/data/blockstore.db").mkdir(parents=True)
    Ledger(folder / "ledger/state.db").commit()
    write_observing(folder, Observing("now", Reason.RESTORED, SigningState(9)))
    with pytest.raises(Refused, match="up to date with the other members"):
        sign(folder)
    assert not write_backup(folder, tmp_path / "backup", CLOCK).has_ledger
    moves = repair_engine(folder, CLOCK, fetches_blocks=True)
    assert "ledger/state.db" in {move.path for move in moves}


def test_what_exists_nowhere_else_is_not_moved(tmp_path: Path, folder: Path) -> None:
    init_member(tmp_path / "alone", "alone", "http://127.0.0.1:1", CLOCK, p2p_port=29009)
    with pytest.raises(Refused, match="nobody else"):
        repair_engine(tmp_path / "alone", CLOCK, fetches_blocks=True)
    settings = folder / "hansa.toml"
    original = settings.read_text()
    settings.write_text(original + "ledger_blocks_retained = 100000\n")
    with pytest.raises(Refused, match="not retained"):
        repair_engine(folder, CLOCK, rebuilds_ledger=True)
    settings.write_text(original)
    (folder / "ledger/data/blockstore.db").rename(tmp_path / "blocks")
    before = contents(folder)
    with pytest.raises(Refused, match="cannot be rebuilt"):
        repair_engine(folder, CLOCK, rebuilds_ledger=True)
    assert {**contents(folder), "lock": b""} == {**before, "lock": b""}


@pytest.mark.parametrize("command", ["repair", "observe", "sign"])
def test_a_running_engine_is_left_alone(folder: Path, command: str) -> None:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = contents(folder)
        confirmed = [] if command == "observe" else ["--yes"]
        result = runner.invoke(app, ["engine", command, str(folder), *confirmed])
        assert contents(folder) == before
    assert result.exit_code == EXIT_STATUS[Code.FOLDER_IN_USE]


@pytest.mark.parametrize("command", ["repair", "sign"])
def test_a_risk_is_explained_and_has_to_be_confirmed(folder: Path, command: str) -> None:
    before = contents(folder)
    result = runner.invoke(app, ["engine", command, str(folder)])
    assert result.exit_code == 1
    assert "confirm with --yes" in result.stderr
    assert contents(folder) == before


def test_the_command_prints_what_it_moved(folder: Path) -> None:
    result = runner.invoke(app, ["engine", "repair", str(folder), "--yes"])
    assert result.exit_code == 0, result.output
    assert f"moved {folder / 'ledger/data/cs.wal'}" in result.stdout
    shutil.rmtree(folder / "ledger/data/cs.wal")
    again = runner.invoke(app, ["engine", "repair", str(folder), "--yes", "--json"])
    assert json.loads(again.stdout) == {"moved": []}


# -- observing and signing -------------------------------------------------------------------------------------


def test_a_validator_observes_on_request_and_begins_anew(folder: Path) -> None:
    assert observe(folder, CLOCK).reason is Reason.REQUESTED
    write_observing(
        folder,
        Observing("2026-01-01T00:00:00.000Z", Reason.RESTORED, SigningState(9), 8, Sighting(7, "then")),
    )
    observing = observe(folder, CLOCK)
    assert (observing.reason, observing.signed, observing.double) == (Reason.RESTORED, SigningState(9), None)
    assert read_observing(folder) == observing


def test_a_validator_that_signs_at_once_continues_after_all_that_is_known(folder: Path) -> None:
    (folder / "ledger/state.db").unlink()
    (folder / "ledger/state.db-wal").unlink()
    write_observing(folder, Observing("now", Reason.RESTORED, SigningState(50, 1, 2), caught_up_at=40))
    assert sign(folder) == SigningState(50, 1, 2)
    assert read_signing_state(folder / LEDGER) == SigningState(50, 1, 2)
    assert not (folder / OBSERVING).exists()


def test_it_does_not_sign_at_once_when_nothing_is_known_or_a_double_was_seen(folder: Path) -> None:
    (folder / "ledger/state.db").unlink()
    (folder / "ledger/state.db-wal").unlink()
    (folder / "ledger" / SIGNING_STATE).unlink()
    with pytest.raises(Refused, match="does not observe"):
        sign(folder)
    write_observing(folder, Observing("now", Reason.RESTORED))
    with pytest.raises(Refused, match="up to date"):
        sign(folder)
    write_observing(folder, Observing("now", Reason.RESTORED, SigningState(50), 8, Sighting(60, "then")))
    with pytest.raises(Refused, match="height 60"):
        sign(folder)
    assert (folder / OBSERVING).exists()
    assert not (folder / "ledger" / SIGNING_STATE).exists()
