"""The ledger's state on disk: what survives, what is refused, what a full disk does."""

from __future__ import annotations

from pathlib import Path

import apsw
import msgspec
import pytest

from hansa.core.errors import EXIT_STATUS, Code, Fatal
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import Origin

ORIGIN = Origin("lubeck")
GENESIS = msgspec.json.encode(AppState((ORIGIN.member,)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


TIME_MS = 1_767_225_600_000


@pytest.fixture
def application(path: Path) -> LedgerApplication:
    made = LedgerApplication(SqliteState(path))
    made.init_chain(GENESIS, TIME_MS)
    return made


def block(height: int, events: int = 1) -> Block:
    transactions = (ORIGIN.batch(*ORIGIN.events(events)),) if events else ()
    return Block(height, TIME_MS + 1000 * height, transactions)


def expect_fatal(path: Path, code: Code) -> str:
    with pytest.raises(Fatal) as fatal:
        SqliteState(path)
    assert fatal.value.code is code
    assert str(path) in fatal.value.message
    return fatal.value.message


def test_a_finalized_block_is_not_there_until_it_is_committed(
    application: LedgerApplication, path: Path
) -> None:
    before = application.state.head
    effects = application.finalize_block(block(1))
    assert application.state.head == before
    application.commit()
    assert application.state.head == effects.head
    application.state.close()
    assert SqliteState(path).head == effects.head


def test_a_crash_between_finalize_and_commit_loses_the_pending_block_alone(
    application: LedgerApplication, path: Path
) -> None:
    application.finalize_block(block(1))
    application.commit()
    committed = application.state.head
    again = block(2)
    expected = application.finalize_block(again).head
    application.state.close()
    reopened = LedgerApplication(SqliteState(path))
    assert reopened.state.head == committed
    assert reopened.finalize_block(again).head == expected


def test_a_genesis_can_begin_again_from_nothing(application: LedgerApplication) -> None:
    """CometBFT asks for that whenever the application says that it has no block."""
    first = application.state.head
    application.init_chain(GENESIS, TIME_MS)
    assert application.state.head == first
    application.finalize_block(block(1))
    application.commit()
    application.init_chain(GENESIS, TIME_MS)
    assert application.state.head == first
    assert application.state.claim(ORIGIN.did, ORIGIN.key_of("e")) is None


def test_an_empty_state_has_no_head(path: Path) -> None:
    assert SqliteState(path).is_empty


def test_two_processes_on_one_file_are_told_apart(application: LedgerApplication, path: Path) -> None:
    application.finalize_block(block(1))
    application.commit()
    expect_fatal(path, Code.FOLDER_IN_USE)


def test_a_newer_state_is_refused(application: LedgerApplication, path: Path) -> None:
    application.state.connection.pragma("user_version", 99)
    application.state.close()
    expect_fatal(path, Code.STORE_NEWER)


def test_a_state_of_older_rules_is_refused_and_left_alone(application: LedgerApplication, path: Path) -> None:
    application.state.connection.pragma("user_version", 1)
    application.state.close()
    before = path.read_bytes()
    expect_fatal(path, Code.LEDGER_OLDER)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 7)
    connection.close()
    expect_fatal(path, Code.STORE_DAMAGED)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    assert "rebuilt" in expect_fatal(path, Code.STORE_DAMAGED)


@pytest.mark.parametrize(
    "tampering",
    ["UPDATE head SET height = height, app_hash = x'00'", "UPDATE head SET events = 5", "DELETE FROM member"],
)
def test_a_state_that_contradicts_itself_is_refused(
    application: LedgerApplication, path: Path, tampering: str
) -> None:
    application.finalize_block(block(1))
    application.commit()
    application.state.connection.execute(tampering)
    application.state.close()
    expect_fatal(path, Code.STORE_DAMAGED)


def test_a_full_disk_ends_the_process_without_damage(application: LedgerApplication, path: Path) -> None:
    application.finalize_block(block(1))
    application.commit()
    committed = application.state.head
    pages = application.state.connection.pragma("page_count")
    application.state.connection.pragma("max_page_count", pages)
    application.finalize_block(block(2, events=100))
    with pytest.raises(Fatal) as fatal:
        application.commit()
    assert fatal.value.code is Code.DISK_FULL
    assert fatal.value.exit_status == EXIT_STATUS[Code.DISK_FULL]
    assert "free disk space" in fatal.value.message
    application.state.close()
    reopened = SqliteState(path)
    assert reopened.head == committed
    assert reopened.connection.pragma("integrity_check") == "ok"


def test_every_block_is_on_disk_when_it_is_committed(application: LedgerApplication) -> None:
    assert application.state.connection.pragma("synchronous") == 2
    assert application.state.connection.pragma("journal_mode") == "wal"
