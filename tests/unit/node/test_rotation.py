from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hansa.cli.app import app
from hansa.core import files
from hansa.core.clock import ManualClock
from hansa.core.errors import EXIT_STATUS, Code, Fatal, Refused
from hansa.core.keys import SigningKey
from hansa.identity import TokenAuthenticate
from hansa.identity.tokens import LIFETIME_MAX_S
from hansa.node.folder import (
    MEMBER_KEY,
    NODE_KEY,
    ROTATION,
    TOKEN,
    TOKEN_KEY,
    VALIDATOR_KEY,
    finish_rotation,
    init_member,
    issue_folder_token,
    rotate_token_key,
    write_token,
)
from hansa.node.folder import rotation as rotation_module
from hansa.node.settings.loading import load_settings

CLOCK = ManualClock()
runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "market"
    init_member(made, "market", "http://127.0.0.1:8101", CLOCK, p2p_port=29001)
    write_token(made, issue_folder_token(made, "anna", ["operator"], 3600, CLOCK, os.urandom))
    return made


def is_consistent(folder: Path) -> bool:
    """Whether the operator's token is one of the key."""
    key = SigningKey.load(folder / TOKEN_KEY).verifying_key()
    header = b"Bearer " + (folder / TOKEN).read_bytes().strip()
    authenticate = TokenAuthenticate(key, load_settings(folder, {}).did, CLOCK, LIFETIME_MAX_S)
    caller = authenticate({b"authorization": header})
    return caller.subject == "anna" and caller.roles == frozenset({"operator"})


def test_the_key_and_the_operators_token_are_replaced_together(folder: Path) -> None:
    before = (folder / TOKEN).read_text(), SigningKey.load(folder / TOKEN_KEY)
    new = rotate_token_key(folder)
    assert SigningKey.load(folder / TOKEN_KEY).kid == new.kid != before[1].kid
    assert (folder / TOKEN).read_text() != before[0]
    assert is_consistent(folder)
    with pytest.raises(Refused):
        TokenAuthenticate(new.verifying_key(), load_settings(folder, {}).did, CLOCK, LIFETIME_MAX_S)(
            {b"authorization": b"Bearer " + before[0].strip().encode()}
        )
    assert not (folder / ROTATION).exists()


@pytest.mark.parametrize("writes", range(4))
def test_an_interrupted_rotation_is_carried_out_or_has_not_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    before = SigningKey.load(folder / TOKEN_KEY).kid
    left = iter(range(writes))

    def write_some(path: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise Fatal(Code.DISK_FULL, "full")
        files.write_file(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(rotation_module, "write_file", write_some)
        if writes < 3:
            with pytest.raises(Fatal):
                rotate_token_key(folder)
        else:
            rotate_token_key(folder)
    finish_rotation(folder)
    assert is_consistent(folder)
    assert (SigningKey.load(folder / TOKEN_KEY).kid == before) is (writes == 0)
    assert not (folder / ROTATION).exists()


def test_a_token_that_the_key_did_not_sign_is_removed_rather_than_left_useless(folder: Path) -> None:
    (folder / TOKEN).write_text("nonsense\n")
    rotate_token_key(folder)
    assert not (folder / TOKEN).exists()
    rotate_token_key(folder)


def test_a_missing_key_of_tokens_is_made(folder: Path) -> None:
    (folder / TOKEN_KEY).unlink()
    assert rotate_token_key(folder).kid == SigningKey.load(folder / TOKEN_KEY).kid
    assert not (folder / TOKEN).exists()


def test_nothing_is_rotated_while_the_marketplace_runs(folder: Path) -> None:
    before = SigningKey.load(folder / TOKEN_KEY).kid
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = runner.invoke(app, ["keys", "rotate", str(folder)])
    assert result.exit_code == EXIT_STATUS[Code.FOLDER_IN_USE]
    assert SigningKey.load(folder / TOKEN_KEY).kid == before


@pytest.mark.parametrize(
    ("key", "code"),
    [("member", Code.UNAVAILABLE), ("node", Code.UNAVAILABLE), ("validator", Code.UNAVAILABLE)],
)
def test_a_key_that_the_league_knows_is_not_touched_without_it(folder: Path, key: str, code: Code) -> None:
    """Here no engine runs that could tell the league."""
    before = [(folder / path).read_bytes() for path in (MEMBER_KEY, NODE_KEY, VALIDATOR_KEY, TOKEN_KEY)]
    result = runner.invoke(app, ["keys", "rotate", str(folder), "--key", key, "--json"])
    assert result.exit_code == EXIT_STATUS.get(code, 1)
    assert json.loads(result.stdout)["error"]["code"] == code
    after = [(folder / path).read_bytes() for path in (MEMBER_KEY, NODE_KEY, VALIDATOR_KEY, TOKEN_KEY)]
    assert after == before


def test_keys_are_shown_without_secrets(folder: Path) -> None:
    shown = runner.invoke(app, ["keys", "show", str(folder), "--json"])
    assert shown.exit_code == 0, shown.output
    keys = json.loads(shown.stdout)
    member = SigningKey.load(folder / MEMBER_KEY)
    assert keys["member"]["kid"] == member.kid
    assert keys["member"]["thumbprint"] == member.thumbprint
    assert keys["validator"]["is_observing"] is False
    plain = runner.invoke(app, ["keys", "show", str(folder)]).output
    for path in (MEMBER_KEY, TOKEN_KEY):
        secret = json.loads((folder / path).read_text())["d"]
        assert secret not in shown.output + plain
    for path in (NODE_KEY, VALIDATOR_KEY):
        secret = json.loads((folder / path).read_text())["priv_key"]["value"]
        assert secret[:40] not in shown.output + plain


@pytest.mark.parametrize("path", [MEMBER_KEY, TOKEN_KEY, NODE_KEY, VALIDATOR_KEY])
def test_a_missing_key_is_named_and_not_made_anew(folder: Path, path: Path) -> None:
    (folder / path).unlink()
    result = runner.invoke(app, ["keys", "show", str(folder)])
    assert result.exit_code == EXIT_STATUS[Code.SETTINGS_INVALID]
    assert f"{folder / path} is missing" in result.stderr
    assert not (folder / path).exists()
