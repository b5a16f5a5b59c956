"""A folder of a marketplace that its user cannot use is named before anything starts, and in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hansa.cli.doctor.checks import check_permissions
from hansa.core.clock import ManualClock
from hansa.core.errors import EXIT_STATUS, Code, Fatal
from hansa.node.folder import init_member
from hansa.node.folder.permissions import READ, WRITTEN, check_usable

WITHOUT_PRIVILEGES = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
if os.geteuid() == 0:
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "hansa.cli", "serve", sys.argv[1]])
"""
"""A process that may not what root may: permissions hold for it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "d"
    init_member(made, "lubeck", "http://lubeck.example", ManualClock(), p2p_port=26656)
    for path in (*READ, *WRITTEN):
        (made / path).mkdir(parents=True, exist_ok=True)
    (made / "ledger/data/cs.wal").mkdir()
    return made


FOLDERS = [str(path) for path in (*READ, *WRITTEN)] + ["ledger/data/cs.wal"]


def test_a_folder_as_it_is_made_can_be_used(folder: Path) -> None:
    check_usable(folder)
    for path in FOLDERS[:-1]:
        if path not in {".", "keys", "ledger", "ledger/config", "ledger/data"}:
            (folder / path).rmdir()
    check_usable(folder)


@pytest.mark.parametrize("path", FOLDERS)
@pytest.mark.parametrize("mode", [os.R_OK, os.W_OK, os.X_OK], ids=["read", "written", "entered"])
def test_one_that_is_closed_is_named(
    folder: Path, path: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = folder / path

    def access(asked: Path, requested: int, *, effective_ids: bool) -> bool:
        assert effective_ids
        return not (asked == closed and requested & mode)

    monkeypatch.setattr(os, "access", access)
    if mode == os.W_OK and Path(path) in READ:
        check_usable(folder)
        return
    with pytest.raises(Fatal, match=r"by the user that runs Hansa\. Do not remove it") as caught:
        check_usable(folder)
    assert caught.value.code is Code.SETTINGS_INVALID
    assert caught.value.message.startswith(f"{closed} ")
    assert check_permissions(folder).state == "wrong"


@pytest.mark.parametrize("path", [path for path in FOLDERS if path not in {".", "ledger/data/cs.wal"}])
def test_a_file_in_the_place_of_a_folder_is_named(folder: Path, path: str) -> None:
    (folder / path).rename(folder / "aside")
    (folder / path).write_text("")
    with pytest.raises(Fatal, match="Not a directory") as caught:
        check_usable(folder)
    assert str(folder / path) in caught.value.message
    assert (folder / path).read_text() == ""


@pytest.mark.parametrize("path", ["jobs", "ledger/data", "schemas"])
def test_serving_ends_with_one_sentence(folder: Path, path: str) -> None:
    (folder / path).chmod(0)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", WITHOUT_PRIVILEGES, str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        (folder / path).chmod(0o700)
    assert ended.returncode == EXIT_STATUS[Code.SETTINGS_INVALID]
    assert ended.stderr.count("\n") == 1
    assert f"{path} cannot be read" in ended.stderr
