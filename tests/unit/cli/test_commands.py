"""The command line itself: help, examples, exit statuses, what goes where."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from hansa import __version__
from hansa.cli.app import app
from hansa.cli.reporting import INTERRUPTED, reporting
from hansa.core.errors import EXIT_STATUS, Code, Fatal, HansaError, Refused, Unavailable

COMMANDS = (
    "demo",
    "init",
    "found",
    "serve",
    "token",
    "doctor",
    "backup",
    "restore",
    "keys show",
    "keys rotate",
    "keys request",
    "keys certify",
    "engine repair",
    "engine observe",
    "engine sign",
    "status",
    "import",
    "export",
    "diff",
    "events",
    "jades",
    "version",
)
runner = CliRunner()


@pytest.fixture(autouse=True)
def _no_token_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANSA_TOKEN", raising=False)


def test_the_commands_are_those_that_are_documented() -> None:
    assert all(command_of(name).help for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_and_takes_json(name: str) -> None:
    result = runner.invoke(app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert f"Example: hansa {name}" in result.output
    assert "--json" in result.output


def command_of(name: str) -> Any:
    """A command by its whole name."""
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


def examples() -> Iterator[tuple[str, list[str]]]:
    for name in COMMANDS:
        command = command_of(name)
        line = (
            command.epilog.removeprefix("Example: ")
            .partition(" > ")[0]
            .replace("$(cat market/token)", "TOKEN")
        )
        yield name, shlex.split(line)[1 + len(name.split()) :]


@pytest.mark.parametrize(("name", "arguments"), list(examples()))
def test_every_example_is_a_right_command_line(name: str, arguments: list[str]) -> None:
    command = command_of(name)
    assert command.make_context(name, list(arguments)).command is command


def test_the_version_is_shown() -> None:
    assert runner.invoke(app, ["--version"]).output == f"hansa {__version__}\n"
    result = json.loads(runner.invoke(app, ["version", "--json"]).output)
    assert result["hansa"] == __version__
    assert set(result) == {"hansa", "cometbft", "python", "sqlite"}


def test_a_wrong_command_line_ends_with_status_2() -> None:
    assert runner.invoke(app, ["import"]).exit_code == 2
    assert runner.invoke(app, ["no-such-command"]).exit_code == 2


def command_that(raises: BaseException) -> typer.Typer:
    made = typer.Typer()

    @made.command()
    @reporting
    def run(as_json: bool = typer.Option(False, "--json")) -> None:
        raise raises

    return made


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.FOLDER_IN_USE, Code.INVALID, Code.DISK_FULL])
def test_an_error_is_one_sentence_on_stderr_and_its_exit_status(code: Code) -> None:
    result = runner.invoke(command_that(Fatal(code, "This is what happened.")), [])
    assert result.exit_code == EXIT_STATUS.get(code, 1)
    assert result.stderr == "This is what happened.\n"
    assert result.stdout == ""


@pytest.mark.parametrize(("wait_s", "hint"), [(1.0, ""), (1_200_000.0, "It may be possible in 13 d 21 h.\n")])
def test_a_wait_of_days_is_told_and_one_of_seconds_is_not(wait_s: float, hint: str) -> None:
    error = Unavailable(Code.CONFLICT, "Too much would change.", wait_s)
    assert runner.invoke(command_that(error), []).stderr == f"Too much would change.\n{hint}"


def test_with_json_a_program_reads_the_code_on_stdout() -> None:
    result = runner.invoke(command_that(Refused(Code.INVALID, "No.")), ["--json"])
    assert json.loads(result.stdout) == {"error": {"code": "invalid", "message": "No."}}
    assert result.stderr == "No.\n"


def test_an_interruption_is_quiet() -> None:
    result = runner.invoke(command_that(KeyboardInterrupt()), [])
    assert result.exit_code == INTERRUPTED
    assert result.output == ""


def test_a_full_disk_behind_stdout_is_reported() -> None:
    result = runner.invoke(command_that(OSError(28, "No space left on device")), [])
    assert result.exit_code == EXIT_STATUS[Code.DISK_FULL]
    assert "disk is full" in result.stderr


def test_a_fault_of_ours_is_not_hidden() -> None:
    result = runner.invoke(command_that(ZeroDivisionError()), [])
    assert isinstance(result.exception, ZeroDivisionError)


def made_folder(folder: Path) -> Path:
    result = runner.invoke(
        app,
        [
            "init",
            str(folder),
            "--name",
            folder.name,
            "--endpoint",
            "http://127.0.0.1:8101",
            "--p2p-port",
            "29001",
            "--json",
        ],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["member"]["name"] == folder.name
    return folder


def test_init_makes_a_folder_once(tmp_path: Path) -> None:
    folder = made_folder(tmp_path / "market")
    again = runner.invoke(app, ["init", str(folder), "--name", "x", "--endpoint", "http://127.0.0.1:8101"])
    assert again.exit_code == 1
    assert "not empty" in again.stderr


def test_init_refuses_a_invalid_port(tmp_path: Path) -> None:
    arguments = [
        "init",
        str(tmp_path / "m"),
        "--name",
        "m",
        "--endpoint",
        "http://127.0.0.1:1",
        "--p2p-port",
        "70000",
    ]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert "--p2p-port" in result.stderr
    assert not (tmp_path / "m").exists()


def test_a_token_is_the_only_thing_on_stdout(tmp_path: Path) -> None:
    folder = made_folder(tmp_path / "market")
    result = runner.invoke(app, ["token", str(folder), "--subject", "anna", "--expires", "15m"])
    assert result.exit_code == 0
    assert result.stdout.count(".") == 2
    assert result.stdout.count("\n") == 1
    refused = runner.invoke(app, ["token", str(folder), "--subject", "anna", "--expires", "soon"])
    assert refused.exit_code == 2
    assert "15m" in refused.stderr


def test_a_folder_that_is_none_ends_with_the_status_of_settings(tmp_path: Path) -> None:
    result = runner.invoke(app, ["token", str(tmp_path), "--subject", "anna"])
    assert result.exit_code == EXIT_STATUS[Code.SETTINGS_INVALID]
    assert "hansa init" in result.stderr


def test_founding_gives_every_member_the_same_genesis(tmp_path: Path) -> None:
    one, two = made_folder(tmp_path / "one"), tmp_path / "two"
    arguments = [
        "init",
        str(two),
        "--name",
        "two",
        "--endpoint",
        "http://127.0.0.1:8102",
        "--p2p-port",
        "29002",
    ]
    assert runner.invoke(app, arguments).exit_code == 0
    cards = [str(folder / "member.json") for folder in (one, two)]
    first = runner.invoke(app, ["found", *cards, "--into", str(one)])
    assert first.exit_code == 0, first.output
    second = runner.invoke(app, ["found", *cards, "--genesis", str(one / "genesis.json"), "--into", str(two)])
    assert second.exit_code == 0, second.output
    assert (one / "genesis.json").read_bytes() == (two / "genesis.json").read_bytes()


def test_founding_without_a_folder_writes_the_genesis(tmp_path: Path) -> None:
    folder = made_folder(tmp_path / "one")
    result = runner.invoke(app, ["found", str(folder / "member.json")])
    assert json.loads(result.stdout)["app_state"]["members"][0]["name"] == "one"


def test_a_genesis_of_another_league_is_refused(tmp_path: Path) -> None:
    one, two = made_folder(tmp_path / "one"), made_folder(tmp_path / "two")
    result = runner.invoke(
        app, ["found", str(two / "member.json"), "--genesis", str(one / "genesis.json"), "--into", str(two)]
    )
    assert result.exit_code == 2
    assert "does not name two" in result.stderr


def test_founding_by_a_genesis_needs_the_cards_of_all_that_it_names(tmp_path: Path) -> None:
    one, two = made_folder(tmp_path / "one"), tmp_path / "two"
    init = ["init", str(two), "--name", "two", "--endpoint", "http://127.0.0.1:8102", "--p2p-port", "29002"]
    assert runner.invoke(app, init).exit_code == 0
    cards = [str(folder / "member.json") for folder in (one, two)]
    assert runner.invoke(app, ["found", *cards, "--into", str(one)]).exit_code == 0
    before = [(two / name).read_bytes() for name in ("hansa.toml", "genesis.json")]
    few = ["found", cards[1], "--genesis", str(one / "genesis.json"), "--into", str(two)]
    result = runner.invoke(app, few)
    assert result.exit_code == 2
    assert "names one too, whose card was not given" in result.stderr
    assert [(two / name).read_bytes() for name in ("hansa.toml", "genesis.json")] == before


def test_comparing_needs_two_addresses() -> None:
    result = runner.invoke(app, ["diff", "http://127.0.0.1:8101"])
    assert result.exit_code == 2
    assert "two members" in result.stderr


@pytest.mark.parametrize(
    "address", ["http://", "ftp://market.example", "http://market.example/path", "http://a:b:c"]
)
def test_an_invalid_address_is_reported(address: str) -> None:
    result = runner.invoke(app, ["status", address])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_errors_without_a_status_of_their_own_end_with_1() -> None:
    assert HansaError(Code.CONFLICT, "").exit_status == 1


def test_the_help_is_fast_because_it_loads_no_other_layer() -> None:
    code = "import sys, hansa.cli.app; print(*(name for name in sys.modules if '.' not in name))"
    shell = [sys.executable, "-c", f"{code}; print(*(n for n in sys.modules if n.startswith('hansa.')))"]
    tops, own = subprocess.run(shell, check=True, capture_output=True, text=True).stdout.splitlines()
    assert not {"asyncio", "aiohttp", "apsw", "cryptography", "starlette"} & set(tops.split())
    assert {name.split(".")[1] for name in own.split()} == {"cli", "core"}


WRONG_LINES = (
    "no-such-command",
    "status --no-such-option",
    "status ftp://market.example",
    "events --type productOfferingCreatedEvent",
    "events --entity abababababababab",
    "events --limit -1",
    "events --limit many",
    "events --from yesterday",
    "diff http://127.0.0.1:1 http://127.0.0.1:2 --type ProductOfering",
    "diff http://127.0.0.1:1 http://127.0.0.1:2 --wait long",
    "diff http://127.0.0.1:1",
    "export http://127.0.0.1:1 --type ProductOfering",
    "import - --patience soon",
    "demo --members 0 --dir {folder}",
    "demo --base-port 80 --dir {folder}",
    "init {folder} --name / --endpoint http://127.0.0.1:8101",
    "init {folder} --name x --endpoint nowhere",
    "init {folder} --name x --endpoint http://127.0.0.1:8101 --did nobody",
    "init {folder} --name x --endpoint http://127.0.0.1:8101 --prefix x",
    "init {folder} --name x --endpoint http://127.0.0.1:8101 --p2p-port 70000",
    "backup {folder}",
    "keys rotate {folder} --key nothing",
)


@pytest.mark.parametrize("line", WRONG_LINES)
def test_a_command_line_with_a_wrong_value_ends_with_status_2_and_says_what_is_right(
    line: str, tmp_path: Path
) -> None:
    result = runner.invoke(app, shlex.split(line.format(folder=tmp_path / "new")))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PermissionError(13, "Permission denied", "/x/hansa.toml"), 3, "/x/hansa.toml: Permission denied.\n"),
        (FileNotFoundError(2, "No such file or directory", "/x"), 3, "/x: No such file or directory.\n"),
        (OSError("odd"), 3, "OSError.\n"),
        (OSError(28, "No space left on device"), 6, "The disk is full; the output is not complete.\n"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(error: OSError, status: int, said: str) -> None:
    result = runner.invoke(command_that(error), [])
    assert (result.exit_code, result.stderr) == (status, said)


@pytest.mark.parametrize("line", ["--help", "events --help", "version", "version --json"])
def test_a_full_disk_ends_every_command_without_a_traceback(line: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "hansa.cli", *line.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (6, "The disk is full; the output is not complete.\n")
