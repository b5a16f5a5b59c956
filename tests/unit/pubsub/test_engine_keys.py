"""Keys in CometBFT's formats."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import EngineKey, EngineSettings, engine_binary, read_key, write_home

# From a key file that `cometbft init` wrote.
SEED_HEX = "67d6bdd708656cd0b22d1ba998b8222d440077b45ac5ed928e08328b8f8e8279"
ADDRESS = "6FF7C986AA529CFA823B26C7786178BAADC62982"
PUBLIC = "rdxrG3mt1MoRnMtxqXJhutrXqL314lmguEfoHj0YoXM="


def test_a_key_has_the_address_that_cometbft_gives_it() -> None:
    document = json.loads(EngineKey.from_seed(bytes.fromhex(SEED_HEX)).validator_document())
    assert document["address"] == ADDRESS
    assert document["pub_key"] == {"type": "tendermint/PubKeyEd25519", "value": PUBLIC}


@given(seed=st.binary(min_size=32, max_size=32))
def test_a_written_key_is_read_back(seed: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    key = EngineKey.from_seed(seed)
    path = tmp_path_factory.mktemp("keys") / "key.json"
    for document in (key.node_document(), key.validator_document()):
        path.write_bytes(document)
        assert read_key(path) == key


def test_generated_keys_differ() -> None:
    assert EngineKey.generate() != EngineKey.generate()


def test_the_secret_is_not_shown() -> None:
    key = EngineKey.from_seed(bytes.fromhex(SEED_HEX))
    assert repr(key) == f"EngineKey({ADDRESS.lower()})"
    assert SEED_HEX not in f"{key!r} {key}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"priv_key": 1}',
        b'{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "%%"}}',
        b'{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "AAAA"}}',
        b'{"priv_key": {"type": "tendermint/PrivKeySecp256k1", "value": "' + b"A" * 86 + b'=="}}',
        b'{"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": "' + b"A" * 86 + b'=="}}',
    ],
)
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node_key.json"
    path.write_bytes(content)
    with pytest.raises(Fatal, match=r"node_key\.json") as raised:
        read_key(path)
    assert raised.value.code is Code.SETTINGS_INVALID


def test_cometbft_computes_the_same_node_id(tmp_path: Path) -> None:
    home = write_home(tmp_path, EngineSettings(name="lubeck", p2p_port=26656), b"{}")
    shown = subprocess.run(
        [engine_binary(), "show-node-id", "--home", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == home.node_id
