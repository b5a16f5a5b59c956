from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import (
    SIGNING_STATE,
    UNSIGNED,
    EngineKey,
    EngineSettings,
    SigningState,
    parse_signing_state,
    read_signing_state,
    signing_state,
    votes_of,
    write_home,
    write_signing_state,
)
from hansa.pubsub.engine.signing_state import signing_state_document

SETTINGS = EngineSettings(name="lubeck", p2p_port=26656)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1), st.integers(0, 3))
def test_what_is_written_is_read(height: int, round_: int, step: int) -> None:
    state = SigningState(height, round_, step)
    assert parse_signing_state(signing_state_document(state)) == state


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"height": 7}',
        b'{"height": "-7"}',
        b'{"height": "7", "round": "x"}',
        b"\xff",
    ],
)
def test_a_damaged_state_says_nothing(content: bytes, tmp_path: Path) -> None:
    assert parse_signing_state(content) is None
    write_signing_state(tmp_path, UNSIGNED)
    (tmp_path / SIGNING_STATE).write_bytes(content)
    with pytest.raises(Fatal, match="damaged"):
        read_signing_state(tmp_path)


def test_a_home_with_a_key_and_no_memory_of_what_was_signed_is_refused(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    (tmp_path / SIGNING_STATE).unlink()
    with pytest.raises(Fatal, match="is missing") as caught:
        write_home(tmp_path, SETTINGS, b"{}")
    assert caught.value.code is Code.SETTINGS_INVALID
    assert not (tmp_path / SIGNING_STATE).exists()


def test_a_key_without_a_memory_is_refused_in_a_new_home_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "priv_validator_key.json").write_bytes(EngineKey.generate().validator_document())
    with pytest.raises(Fatal, match="is missing"):
        write_home(home, SETTINGS, b"{}")


@pytest.mark.parametrize("name", ["node_key.json", "priv_validator_key.json"])
def test_a_lost_key_is_not_replaced(tmp_path: Path, name: str) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    (tmp_path / "config" / name).unlink()
    with pytest.raises(Fatal, match="is missing"):
        write_home(tmp_path, SETTINGS, b"{}")
    assert not (tmp_path / "config" / name).exists()


def test_an_observing_engine_has_another_key_each_time_and_touches_neither_key_nor_memory(
    tmp_path: Path,
) -> None:
    home = write_home(tmp_path, SETTINGS, b"{}")
    write_signing_state(tmp_path, SigningState(7, 0, 3))
    real = {path: path.read_bytes() for path in (tmp_path / "config" / "priv_validator_key.json",)}
    observers = []
    for _ in range(2):
        assert write_home(tmp_path, SETTINGS, b"{}", is_observing=True) == home
        observers.append((tmp_path / "config" / "observer_key.json").read_bytes())
        assert "config/observer_key.json" in (tmp_path / "config" / "config.toml").read_text()
        assert "priv_validator_key.json" not in (tmp_path / "config" / "config.toml").read_text()
    assert observers[0] != observers[1]
    assert all(path.read_bytes() == content for path, content in real.items())
    assert read_signing_state(tmp_path) == SigningState(7, 0, 3)
    write_home(tmp_path, SETTINGS, b"{}")
    assert "observer" not in (tmp_path / "config" / "config.toml").read_text()


def test_an_engine_observes_without_a_memory_of_what_was_signed(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    (tmp_path / SIGNING_STATE).unlink()
    write_home(tmp_path, SETTINGS, b"{}", is_observing=True)
    assert not (tmp_path / SIGNING_STATE).exists()


def test_votes_are_read_as_the_engine_shows_them() -> None:
    end = "(Prevote) 000000000000 8503C04C73A0 000000000000 @ 2026-11-29T21:33:28.506403999Z}"
    shown = [
        f"Vote{{2:1109BF30D488 6/01/SIGNED_MSG_TYPE_PREVOTE{end}",
        f"Vote{{2:1109BF30D488 6/00/SIGNED_MSG_TYPE_PRECOMMIT{end}",
        f"Vote{{1:4AE2D3007FA9 7/00/SIGNED_MSG_TYPE_PREVOTE{end}",
        "nil-Vote",
        "Vote{2:1109BF30D488 6/x",
    ]
    votes = votes_of("1109BF30D4889EAC8E53FAC3FA56DE28BF7AB852", shown)
    assert votes == (SigningState(6, 1, 2), SigningState(6, 0, 3))
    assert max(votes) == SigningState(6, 1, 2)


def test_a_state_and_its_signature_are_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = iter(
        b'{"height":"%d","round":0,"step":3,"signature":"of %d"}' % (height, height) for height in range(1, 9)
    )
    monkeypatch.setattr(signing_state, "read_file", lambda *_: next(contents))
    for _ in range(3):
        state, signature = signing_state.read_last_signature(tmp_path)
        assert signature == f"of {state.height}"
