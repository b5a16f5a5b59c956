"""A database of a folder that cannot be used: one sentence that names it, and a code that fits the remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
import pytest

from hansa.core.clock import ManualClock
from hansa.core.database_failures import database_failure
from hansa.core.errors import Code, Fatal
from hansa.core.limits import Limits
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.light.captured import CapturedBlocks
from hansa.store.sqlite.store import SqliteStore


def open_store(path: Path) -> object:
    return asyncio.run(SqliteStore.open(path, ManualClock(), Limits()))


OPENERS: Final[dict[str, Callable[[Path], object]]] = {
    "store.db": open_store,
    "state.db": SqliteState,
    "light.db": CapturedBlocks,
}
FAULTS: Final[dict[str, tuple[Callable[[Path], object], Code]]] = {
    "a folder": (Path.mkdir, Code.SETTINGS_INVALID),
    "a link into nowhere": (lambda path: path.symlink_to(path.parent / "no" / "disk"), Code.SETTINGS_INVALID),
    "a text": (lambda path: path.write_bytes(b"name,price\n" * 1000), Code.STORE_DAMAGED),
    "of a program that gives no number": (
        lambda path: apsw.Connection(str(path)).execute("CREATE TABLE record (x)"),
        Code.STORE_DAMAGED,
    ),
    "of another program": (
        lambda path: apsw.Connection(str(path)).execute("PRAGMA application_id = 77"),
        Code.STORE_DAMAGED,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OPENERS)
def test_a_file_that_cannot_be_used_is_named_and_left_alone(tmp_path: Path, name: str, fault: str) -> None:
    path = tmp_path / name
    make, code = FAULTS[fault]
    make(path)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(Fatal) as caught:
        OPENERS[name](path)
    assert caught.value.code is code
    assert str(path) in caught.value.message
    assert caught.value.message.endswith(".")
    assert (path.read_bytes() if path.is_file() else None) == content
    if code is Code.SETTINGS_INVALID:
        assert "Do not remove it" in caught.value.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (apsw.ReadOnlyError, Code.SETTINGS_INVALID),
        (apsw.PermissionsError, Code.SETTINGS_INVALID),
        (apsw.BusyError, Code.FOLDER_IN_USE),
        (apsw.LockedError, Code.FOLDER_IN_USE),
        (apsw.FullError, Code.DISK_FULL),
        (apsw.IOError, Code.DISK_FULL),
        (apsw.CorruptError, Code.STORE_DAMAGED),
        (apsw.SQLError, None),
    ],
)
def test_what_sqlite_says_has_the_code_of_its_remedy(error: type[apsw.Error], code: Code | None) -> None:
    failure = database_failure(error("reason"), "market/x.db", "Restore it.")
    assert (failure and failure.code) is code
    if failure is not None:
        assert failure.message.startswith("market/x.db ") or "market/x.db" in failure.message
        assert ("Restore it." in failure.message) is (code is Code.STORE_DAMAGED)
