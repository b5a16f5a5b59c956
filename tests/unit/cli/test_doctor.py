"""The checks of `hansa doctor` that need no network."""

from __future__ import annotations

import fcntl
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from hansa.cli.demo.members import DemoMember, DemoProcesses, holder_of
from hansa.cli.doctor.checks import disk_finding, key_findings, registration_finding, store_finding
from hansa.cli.doctor.findings import CheckResult
from hansa.cli.doctor.network import expiry_finding, index_finding
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal
from hansa.core.limits import Limits
from hansa.node.folder import init_member
from hansa.node.settings.loading import load_settings
from hansa.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "market"
    init_member(made, "market", "http://127.0.0.1:8101", ManualClock(), p2p_port=29001)
    return made


def states(findings: list[CheckResult]) -> set[str]:
    return {finding.state for finding in findings}


def test_a_new_folder_is_well(folder: Path) -> None:
    settings = load_settings(folder, {})
    found = [
        *key_findings(folder),
        registration_finding(folder, settings),
        store_finding(folder / "store.db"),
    ]
    assert states(found) == {"ok"}


def test_a_key_that_others_can_read_is_wrong_and_the_command_that_helps_is_told(folder: Path) -> None:
    (folder / "keys" / "token.jwk").chmod(0o644)
    found = [finding for finding in key_findings(folder) if finding.state == "wrong"]
    assert [finding.check for finding in found] == ["secrets"]
    assert found[0].todo == f"chmod 600 {folder / 'keys' / 'token.jwk'}"


def test_a_damaged_key_and_a_missing_one_are_wrong(folder: Path) -> None:
    (folder / "keys" / "member.jwk").write_text("{}")
    (folder / "ledger" / "config" / "node_key.json").unlink()
    found = [finding.check for finding in key_findings(folder) if finding.state == "wrong"]
    assert found == ["key member.jwk", "secrets"]


def test_a_key_that_the_league_does_not_know_is_wrong(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    init_member(other, "other", "http://127.0.0.1:8102", ManualClock(), p2p_port=29002)
    (folder / "genesis.json").write_bytes((other / "genesis.json").read_bytes())
    assert registration_finding(folder, load_settings(folder, {})).state == "wrong"


def test_little_disk_is_told_early(tmp_path: Path) -> None:
    assert disk_finding(tmp_path, 1).state == "ok"
    assert disk_finding(tmp_path, 10**18).state == "wrong"
    assert disk_finding(tmp_path / "none", 1).state == "wrong"


async def test_a_store_is_well_until_it_is_damaged_or_too_new(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await Store.open(path, ManualClock(), Limits())).close()
    assert store_finding(path).state == "ok"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    newer = store_finding(path)
    assert (newer.state, "newer" in newer.todo) == ("wrong", True)
    path.write_bytes(b"no database at all" * 100)
    assert store_finding(path).state == "wrong"


@pytest.mark.parametrize(("days", "state"), [(-1, "wrong"), (3, "look"), (80, "ok")])
def test_a_certificate_is_looked_at_before_it_expires(days: int, state: str) -> None:
    now = ManualClock().now()
    assert expiry_finding("certificate", now + timedelta(days=days, hours=1), now).state == state


def test_the_process_that_serves_a_folder_is_known_without_disturbing_it(folder: Path) -> None:
    assert holder_of(folder) is None
    with (folder / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        assert holder_of(folder) is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert holder_of(folder) == 4711
    assert holder_of(folder) is None


def test_a_demo_does_not_start_on_a_folder_that_is_served(folder: Path) -> None:
    member = DemoMember("market", folder, "http://127.0.0.1:8101")
    with (folder / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Fatal, match="4711") as caught:
            DemoProcesses([member], ManualClock()).check()
    assert caught.value.code is Code.FOLDER_IN_USE


def test_filters_without_an_index_are_told_with_what_to_do() -> None:
    assert index_finding([]).state == "ok"
    found = index_finding([{"type": "ProductOffering", "path": "version", "count": 12}])
    assert found.state == "look"
    assert "ProductOffering.version (12 times)" in found.found
    assert "indexed_attributes" in (found.todo or "")
