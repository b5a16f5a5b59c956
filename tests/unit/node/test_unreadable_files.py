"""A file of a folder that is missing, and one that may not be read, are different messages everywhere."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hansa.cli.demo.members import DemoMember
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.core.keys import SigningKey
from hansa.node import preflight
from hansa.node.backup import write_backup
from hansa.node.folder import (
    CARD,
    GENESIS,
    MEMBER_KEY,
    NODE_KEY,
    TOKEN,
    TOKEN_KEY,
    VALIDATOR_KEY,
    init_member,
    load_genesis,
    read_card,
)
from hansa.node.settings.loading import FILE_NAME, load_settings

READERS: dict[Path, Callable[[Path], object]] = {
    Path(FILE_NAME): lambda folder: load_settings(folder, {}),
    GENESIS: load_genesis,
    CARD: lambda folder: read_card(folder / CARD),
    MEMBER_KEY: lambda folder: SigningKey.load(folder / MEMBER_KEY),
    TOKEN_KEY: lambda folder: SigningKey.load(folder / TOKEN_KEY),
    TOKEN: lambda folder: DemoMember("lubeck", folder, "http://lubeck.example").token,
    NODE_KEY: lambda folder: preflight.check_engine_keys([read_card(folder / CARD).member], folder, folder),
    VALIDATOR_KEY: lambda folder: preflight.check_engine_keys(
        [read_card(folder / CARD).member], folder, folder
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "d"
    init_member(made, "lubeck", "http://lubeck.example", ManualClock(), p2p_port=26656)
    (made / TOKEN).write_text("a token\n")
    return made


@pytest.mark.parametrize("path", READERS, ids=str)
def test_what_is_missing_is_called_missing_and_what_to_do_is_said(folder: Path, path: Path) -> None:
    READERS[path](folder)
    (folder / path).unlink()
    with pytest.raises(Fatal, match=rf"{path.name} is missing\. \w+") as caught:
        READERS[path](folder)
    assert caught.value.code is Code.SETTINGS_INVALID
    assert not (folder / path).exists(), "nothing is made in its place"


@pytest.mark.parametrize("path", READERS, ids=str)
def test_what_may_not_be_read_is_not_called_missing(
    folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes = Path.read_bytes

    def read(self: Path) -> bytes:
        if self == folder / path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return read_bytes(self)

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(Fatal, match=rf"{path.name} cannot be read: Permission denied.*chown") as caught:
        READERS[path](folder)
    assert caught.value.code is Code.SETTINGS_INVALID


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", bytes(range(256)), b"[" * 100_000, b'{"kid": 5, "kty": [], "priv_key": 1}']
)
@pytest.mark.parametrize("path", [path for path in READERS if path.suffix in {".json", ".jwk"}], ids=str)
def test_what_does_not_hold_what_it_should_is_named(folder: Path, path: Path, content: bytes) -> None:
    (folder / path).write_bytes(content)
    with pytest.raises(Fatal, match=re.escape(path.name)) as caught:
        READERS[path](folder)
    assert caught.value.code is Code.SETTINGS_INVALID
    assert (folder / path).read_bytes() == content


def test_a_backup_leaves_nothing_out_that_may_not_be_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lstat = Path.lstat

    def look(self: Path) -> os.stat_result:
        if self == folder / TOKEN:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", look)
    with pytest.raises(Fatal, match="cannot be read"):
        write_backup(folder, tmp_path / "b", ManualClock())
    assert not (tmp_path / "b").exists()
