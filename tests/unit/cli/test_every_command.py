"""Every command, by walking the parser: its help, wrong command lines, and whatever it has to read or write.

A command that cannot do what it was called for says so in one sentence that names what is wrong, and ends
with a status of its own; never with a traceback.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner
from typer.main import get_command

from hansa.cli.app import app
from hansa.core.errors import EXIT_STATUS, Code

LINES: Final = {
    "demo": "--dir {new}",
    "init": "{new} --name x --endpoint http://127.0.0.1:8101",
    "found": "{file} --into {folder}",
    "join": "{new} --from {url} --name x --endpoint http://127.0.0.1:8102",
    "serve": "{folder}",
    "token": "{folder} --subject anna",
    "doctor": "{folder}",
    "backup": "{folder} {output}",
    "restore": "{file} {new}",
    "keys show": "{folder}",
    "clients add": "{folder} shop --redirect-uri https://shop.example/callback --jwks {file}",
    "clients list": "{folder}",
    "clients remove": "{folder} shop",
    "clients rotate": "{folder} shop",
    "access list": "{url}",
    "access remove": "subject x --url {url}",
    "access readmit": "subject x --url {url}",
    "keys rotate": "{folder}",
    "keys request": "{folder} --organization x --country ES -o {output}",
    "keys seal": "{folder} -o {output}",
    "keys certify": "{folder} {file}",
    "league show": "{url}",
    "league members": "{url}",
    "league validators": "{url}",
    "league parameters": "{url}",
    "league proposals": "{url}",
    "league explain": "3f9a1c {url}",
    "league propose": "{folder} param issuer_events_per_s 500",
    "league vote": "{folder} 3f9a1c yes",
    "league endpoint": "{folder} https://new.example",
    "league nodes": "{folder} {file}",
    "league block": "250000 {url}",
    "league trust": "{folder} 250000 " + "5F" * 32,
    "league leave": "{folder} --yes",
    "engine repair": "{folder} --yes",
    "engine observe": "{folder}",
    "engine sign": "{folder} --yes",
    "status": "{url}",
    "import": "{file} --to {url} --patience 0s",
    "export": "{url}",
    "diff": "{url} {url}",
    "events": "{url}",
    "receipt": "{url} x -o {output}",
    "verify": "{file} --genesis {file}",
    "audit ledger": "{url} --genesis {file}",
    "audit export": "{url} -o {output}",
    "audit verify": "{file}",
    "peers": "{url}",
    "policy check": "{folder}",
    "policy test": "{folder} --entity {file}",
    "replication list": "{url}",
    "replication why": "x {url}",
    "replication retry": "{url}",
    "replication lost": "{url}",
    "resync": "{url}",
    "jades": "{file} --anchor {file}",
    "credentials verify": "{file} --anchors {file} --issuers {file}",
    "issue": "{folder} list",
    "organizations list": "{folder}",
    "organizations approve": "{folder} VATES-12345678",
    "organizations remove": "{folder} VATES-12345678",
    "wallet accept": "openid-credential-offer://x --folder wallet",
    "wallet list": "--folder wallet",
    "wallet present": "openid4vp://x --folder wallet --yes",
    "wallet remove": "x --folder wallet",
    "version": "",
}
"""A right command line for each command, with places for what it reads and writes."""
UNREACHABLE: Final = "http://127.0.0.1:1"
FAULTS: Final = {
    "folder": ("absent", "plain-file", "empty-folder", "below-a-file", "damaged-settings"),
    "new": ("plain-file", "used-folder", "below-a-file", "system-folder"),
    "file": ("absent", "empty-folder", "garbage", "deep-json", "empty-file", "below-a-file"),
    "output": ("empty-folder", "below-a-file", "absent-folder"),
    "url": ("unreachable", "no-host"),
}
CONTENTS: Final = {
    "plain-file": b"text",
    "below-a-file": b"text",
    "empty-file": b"",
    "garbage": bytes(range(256)),
    "deep-json": b"[" * 100_000,
    "entities": b'{"@type": "Category", "id": "urn:ngsi-ld:category:x", "name": "x"}\n',
}
RUNNING_ONLY: Final = ("league propose", "league vote", "league endpoint", "league nodes", "league leave")
WRONG_COMMAND_LINE: Final = EXIT_STATUS[Code.INVALID]
COMMAND: Final[Any] = get_command(app)
runner = CliRunner()


def leaves(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command and group, by its whole name."""
    yield name, command
    for word, one in getattr(command, "commands", {}).items():
        yield from leaves(one, f"{name} {word}".strip())


ALL: Final = list(leaves(COMMAND))
COMMANDS: Final = [(name, one) for name, one in ALL if not hasattr(one, "commands")]
NAMES: Final = [name for name, _ in COMMANDS]


def test_there_is_a_right_line_for_each_command() -> None:
    assert set(LINES) == set(NAMES)
    for name, one in leaves(get_command(app)):
        if hasattr(one, "commands"):
            continue
        words = shlex.split(LINES[name].format(folder="f", new="n", file="a", output="o", url=UNREACHABLE))
        assert one.make_context(name, words).command is one


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", [name for name, _ in ALL])
def test_the_help_of_each_command_and_group_is_complete(name: str, option: str) -> None:
    result = runner.invoke(COMMAND, [*name.split(), option])
    assert (result.exit_code, result.stderr) == (0, "")
    command = dict(ALL)[name]
    assert (command.help or "").rstrip().endswith((".", ":"))
    if hasattr(command, "commands"):
        for word, one in command.commands.items():
            assert re.search(rf"^  {word} ", result.output, re.MULTILINE), word
            assert one.short_help or one.help
        return
    assert f"Example: hansa {name}" in result.output
    assert "--json" in result.output
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name} has no help"
        assert any(one in result.output for one in (*parameter.opts, parameter.metavar or ""))


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=NAMES)
def test_a_wrong_command_line_ends_with_status_2_and_says_what_is_wrong(name: str, command: Any) -> None:
    lines = [f"{name} --no-such-option"]
    if any(one.required for one in command.params):
        lines.append(name)
    else:
        lines.append(f"{name} a b c d e f g") if not takes_many(command) else None
    for line in lines:
        result = runner.invoke(COMMAND, shlex.split(line))
        assert (result.exit_code, result.stdout) == (WRONG_COMMAND_LINE, ""), line
        assert "Traceback" not in result.stderr
        assert re.search(r"Error: |hansa ", result.stderr), line


def takes_many(command: Any) -> bool:
    return any(isinstance(one, click.Argument) and one.nargs == -1 for one in command.params)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A marketplace's folder, not served."""
    folder = tmp_path_factory.mktemp("every-command") / "market"
    line = f"init {folder} --name lubeck --endpoint http://127.0.0.1:8101 --p2p-port 29001"
    line += " --did did:elsi:VATES-12345678"
    assert runner.invoke(COMMAND, line.split()).exit_code == 0
    return folder


def cases() -> Iterator[tuple[str, str, str]]:
    for name, line in LINES.items():
        for place in dict.fromkeys(re.findall(r"\{(\w+)\}", line)):
            yield from (
                (name, place, fault) for fault in FAULTS[place] if (name, fault) != ("import", "empty-file")
            )
        if name in RUNNING_ONLY:
            yield name, "folder", "not-served"


@pytest.mark.enable_socket
@pytest.mark.parametrize(("name", "place", "fault"), list(cases()))
def test_what_a_command_cannot_use_is_one_sentence_that_names_it(
    name: str, place: str, fault: str, market: Path, tmp_path: Path
) -> None:
    values = {
        "folder": str(market),
        "new": str(tmp_path / "new"),
        "file": str(made(tmp_path / "usual", "entities")),
        "output": str(tmp_path / "output"),
        "url": UNREACHABLE,
    }
    if fault not in {"not-served", "unreachable"}:
        values[place] = str(made(tmp_path / "wrong", fault))
    line = f"{name} {LINES[name].format(**values)}"
    before = sorted(tmp_path.rglob("*"))
    result = runner.invoke(COMMAND, shlex.split(line))
    assert isinstance(result.exception, SystemExit), (line, result.exc_info)
    assert result.exit_code not in {0, 130}, (line, result.output)
    assert "Traceback" not in result.output
    if name == "doctor":
        assert str(values["folder"]) in result.output
        return
    said = result.stderr.splitlines()
    assert len(said) == 1 or name == "import", (line, said)
    named = [*values.values(), str(Path(values[place]).parent)]
    assert any(value in result.stderr for value in named), (line, said)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


def made(path: Path, fault: str) -> str | Path:
    """Something that a command cannot use."""
    if fault in CONTENTS:
        path.write_bytes(CONTENTS[fault])
    if fault in {"empty-folder", "used-folder", "damaged-settings"}:
        path.mkdir()
    if fault == "used-folder":
        (path / "letter.txt").write_text("text")
    if fault == "damaged-settings":
        (path / "hansa.toml").write_bytes(b'name = "x\n\xff')
    elsewhere: dict[str, str | Path] = {
        "no-host": "http://",
        "system-folder": "/proc/hansa",
        "absent": path / "absent",
        "absent-folder": path / "absent" / "file",
        "below-a-file": path / "below",
    }
    return elsewhere.get(fault, path)
