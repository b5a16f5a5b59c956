from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hansa.core.errors import Code, Fatal
from hansa.core.files import is_missing, read_file, restrict_new_files, write_file
from hansa.core.keys import SigningKey
from hansa.pubsub.engine import read_key


def deny(_: Path) -> bytes:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize("read", [read_file, SigningKey.load, read_key])
def test_a_missing_file_is_missing(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"key\.json is missing\. Restore it from a backup") as caught:
        read(tmp_path / "key.json")
    assert caught.value.code is Code.SETTINGS_INVALID


@pytest.mark.parametrize("read", [read_file, SigningKey.load, read_key])
def test_a_file_that_may_not_be_read_is_not_missing(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_bytes(b"{}")
    monkeypatch.setattr(Path, "read_bytes", deny)
    with pytest.raises(Fatal, match=r"cannot be read: Permission denied\. It is not missing") as caught:
        read(tmp_path / "key.json")
    assert caught.value.code is Code.SETTINGS_INVALID


def test_what_cannot_be_looked_at_is_not_taken_for_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_missing(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not is_missing(tmp_path / "link")
    monkeypatch.setattr(Path, "lstat", deny)
    with pytest.raises(Fatal, match="not missing"):
        is_missing(tmp_path / "key.json")


def test_a_file_is_written_for_its_owner_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one")
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(Fatal, match="No space left") as caught:
        write_file(tmp_path / "a", b"one")
    assert caught.value.code is Code.DISK_FULL
    assert not (tmp_path / "a").exists()


def test_new_files_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        restrict_new_files()
        (tmp_path / "a").write_bytes(b"")
        (tmp_path / "b").mkdir()
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o600, 0o700]


def test_a_file_that_several_write_at_once_is_whole_and_fails_for_none_of_them(tmp_path: Path) -> None:
    contents = [bytes([65 + number]) * 5000 for number in range(4)]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_file(tmp_path / "a", content)

    with ThreadPoolExecutor(len(contents)) as writers:
        list(writers.map(write, contents))
    assert (tmp_path / "a").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
