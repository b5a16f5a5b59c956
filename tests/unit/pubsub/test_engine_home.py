"""The engine's folder."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import EngineKey, EngineSettings, read_key, write_home
from hansa.pubsub.engine.home import configuration, duration, toml_document

SETTINGS = EngineSettings(
    name='Lübeck "Hanse" \\ 🚢',
    p2p_port=26656,
    persistent_peers=("aa@127.0.0.1:1", "bb@127.0.0.1:2"),
    is_single_machine=True,
)


def test_the_configuration_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    written = tomllib.loads((tmp_path / "config" / "config.toml").read_text())
    assert written == configuration(SETTINGS)
    assert written["moniker"] == 'Lxfcbeck "Hanse"  U0001f6a2', "the engine takes ASCII alone"
    assert written["proxy_app"] == "unix://abci.sock"
    assert written["rpc"]["laddr"] == "unix://rpc.sock"
    assert written["p2p"]["persistent_peers"] == "aa@127.0.0.1:1,bb@127.0.0.1:2"
    assert written["consensus"]["create_empty_blocks"] is False
    assert written["consensus"]["create_empty_blocks_interval"] == "60000ms"


@given(
    content=st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"])) | st.booleans() | st.integers(-(2**63), 2**63 - 1),
    )
)
def test_toml_round_trips(content: dict[str, str | bool | int]) -> None:
    assert tomllib.loads(toml_document({**content, "table": content}).decode()) == {
        **content,
        "table": content,
    }


def test_durations_are_written_in_milliseconds() -> None:
    assert [duration(s) for s in (0.0, 0.3, 1.0, 12.5)] == ["0ms", "300ms", "1000ms", "12500ms"]


def test_only_one_machine_relaxes_the_rules_on_addresses() -> None:
    relaxed = configuration(SETTINGS)["p2p"]
    strict = configuration(EngineSettings(name="a", p2p_port=1, p2p_host="::"))["p2p"]
    assert (relaxed["addr_book_strict"], relaxed["allow_duplicate_ip"]) == (False, True)
    assert (strict["addr_book_strict"], strict["allow_duplicate_ip"]) == (True, False)
    assert strict["laddr"] == "tcp://[::]:1"


def test_the_mempool_and_its_transactions_are_bounded() -> None:
    mempool = configuration(SETTINGS)["mempool"]
    assert 0 < mempool["size"] <= mempool["cache_size"]
    assert mempool["max_tx_bytes"] < mempool["max_txs_bytes"]


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    write_home(tmp_path / "home", SETTINGS, b"{}")
    for path in (tmp_path / "home").rglob("*"):
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == allowed, path


def test_writing_again_keeps_keys_and_what_was_signed(tmp_path: Path) -> None:
    node, validator = EngineKey.generate(), EngineKey.generate()
    first = write_home(tmp_path, SETTINGS, b"{}", node, validator)
    state = tmp_path / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7", "round": 0, "step": 3}')
    second = write_home(tmp_path, SETTINGS, b"{}")
    assert second == first
    assert read_key(tmp_path / "config" / "priv_validator_key.json") == validator
    assert '"7"' in state.read_text()


def test_settings_may_change(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    write_home(tmp_path, EngineSettings(name="riga", p2p_port=1), b"{}")
    assert tomllib.loads((tmp_path / "config" / "config.toml").read_text())["moniker"] == "riga"


def test_another_genesis_is_refused(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b'{"chain_id": "a"}')
    with pytest.raises(Fatal, match="another league") as raised:
        write_home(tmp_path, SETTINGS, b'{"chain_id": "b"}')
    assert raised.value.code is Code.SETTINGS_INVALID


def test_another_key_is_refused(tmp_path: Path) -> None:
    write_home(tmp_path, SETTINGS, b"{}")
    with pytest.raises(Fatal, match=r"priv_validator_key\.json"):
        write_home(tmp_path, SETTINGS, b"{}", None, EngineKey.generate())


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "config" / "config.toml").mkdir(parents=True)
    with pytest.raises(Fatal, match=r"config\.toml"):
        write_home(tmp_path, SETTINGS, b"{}")
