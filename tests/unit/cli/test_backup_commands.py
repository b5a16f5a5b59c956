from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.core.clock import ManualClock
from hansa.core.errors import EXIT_STATUS, Code
from hansa.node.folder import OBSERVING, RESTORED, init_member

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_member(tmp_path / "market", "market", "http://127.0.0.1:8101", ManualClock(), p2p_port=29001)
    return tmp_path / "market"


def test_a_backup_is_made_checked_and_restored(folder: Path, tmp_path: Path) -> None:
    file, restored = tmp_path / "b", tmp_path / "restored"
    made = runner.invoke(app, ["backup", str(folder), str(file), "--json"])
    assert made.exit_code == 0, made.output
    checked = runner.invoke(app, ["backup", "--verify", str(file), "--json"])
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout) == json.loads(made.stdout)
    shown = runner.invoke(app, ["restore", str(file), str(restored)])
    assert shown.exit_code == 0, shown.output
    assert "observes" in shown.stderr
    assert json.loads(made.stdout)["fingerprint"] in shown.stdout
    assert (restored / OBSERVING).exists()


@pytest.mark.parametrize(
    "arguments", [[], ["D"], ["--verify", "F", "D"], ["--verify", "F", "D", "G"]], ids=" ".join
)
def test_half_a_command_line_does_nothing(arguments: list[str], tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["backup", *(str(tmp_path / one) if one.isalpha() else one for one in arguments)]
    )
    assert result.exit_code == 2
    assert "--verify FILE" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_backup_has_an_exit_status_of_its_own(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "b"
    runner.invoke(app, ["backup", str(folder), str(file)])
    file.write_bytes(file.read_bytes()[:-1])
    for arguments in (["backup", "--verify", str(file)], ["restore", str(file), str(tmp_path / "restored")]):
        result = runner.invoke(app, arguments)
        assert result.exit_code == EXIT_STATUS[Code.BACKUP_INVALID]
        assert "Traceback" not in result.output
    assert not (tmp_path / "restored").exists()


def test_signing_at_once_has_to_be_confirmed(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "b"
    runner.invoke(app, ["backup", str(folder), str(file)])
    refused = runner.invoke(app, ["restore", str(file), str(tmp_path / "restored"), "--sign-now"])
    assert refused.exit_code == 1
    assert "misbehaviour" in refused.stderr
    assert not (tmp_path / "restored").exists()
    done = runner.invoke(app, ["restore", str(file), str(tmp_path / "restored"), "--sign-now", "--yes"])
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "restored" / OBSERVING).exists()


@pytest.mark.parametrize("takes_newer", [False, True])
def test_a_restored_folder_takes_newer_versions_from_the_league_on_request_alone(
    folder: Path, tmp_path: Path, *, takes_newer: bool
) -> None:
    file, restored = tmp_path / "b", tmp_path / "restored"
    runner.invoke(app, ["backup", str(folder), str(file)])
    options = ["--from-league"] if takes_newer else []
    shown = runner.invoke(app, ["restore", str(file), str(restored), *options])
    assert shown.exit_code == 0, shown.output
    assert (restored / RESTORED).exists() == takes_newer
    assert ("--from-league" in shown.stderr) == takes_newer


@pytest.mark.parametrize(
    "arguments",
    [[], ["F"], ["F", "D", "--withdraw-missing"], ["--withdraw-missing"], ["--from-league", "--sign-now"]],
    ids=" ".join,
)
def test_half_a_command_line_restores_nothing(arguments: list[str], tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["restore", *(str(tmp_path / one) if one.isalpha() else one for one in arguments)]
    )
    assert result.exit_code == EXIT_STATUS[Code.INVALID]
    assert list(tmp_path.iterdir()) == []
