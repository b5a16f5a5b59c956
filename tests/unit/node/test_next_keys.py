"""The next keys of the engine take their places when the ledger names them, and never before."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from hansa.core.clock import ManualClock
from hansa.core.members import Member
from hansa.node.folder import (
    CARD,
    LEDGER,
    NEXT_NODE_KEY,
    NEXT_VALIDATOR_KEY,
    NODE_KEY,
    VALIDATOR_KEY,
    init_member,
    read_card,
)
from hansa.node.validator.next_keys import (
    adopt_engine_keys,
    next_keys_named,
    next_node_key,
    next_validator_key,
)
from hansa.pubsub.engine import SIGNING_STATE, read_key, read_last_signature
from tests.contract.origins import NOW


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init_member(tmp_path / "D", "lubeck", "https://lubeck.example", ManualClock(NOW), p2p_port=26_656)
    return tmp_path / "D"


def me(folder: Path) -> Member:
    return read_card(folder / CARD).member


def named(folder: Path) -> Member:
    """The member as a ledger has it that names both next keys."""
    return msgspec.structs.replace(
        me(folder),
        node_ids=(read_key(folder / NODE_KEY).node_id, next_node_key(folder).node_id),
        validator_key=next_validator_key(folder).public.hex(),
    )


def keys(folder: Path) -> tuple[bytes, bytes]:
    return (folder / VALIDATOR_KEY).read_bytes(), (folder / NODE_KEY).read_bytes()


def test_keys_that_the_ledger_does_not_name_stay_where_they_are(folder: Path) -> None:
    before = keys(folder)
    assert next_validator_key(folder) == next_validator_key(folder), "it is made once"
    assert next_node_key(folder) == next_node_key(folder)
    assert not next_keys_named(folder, me(folder))
    adopt_engine_keys(folder, me(folder))
    assert keys(folder) == before
    assert (folder / NEXT_VALIDATOR_KEY).exists()
    assert (folder / NEXT_NODE_KEY).stat().st_mode & 0o077 == 0, "it is its owner's alone"


def test_keys_that_the_ledger_names_take_their_places_once(folder: Path) -> None:
    validator, node = next_validator_key(folder), next_node_key(folder)
    registered = named(folder)
    assert next_keys_named(folder, registered)
    for _ in range(2):
        adopt_engine_keys(folder, registered)
        assert read_key(folder / VALIDATOR_KEY) == validator
        assert read_key(folder / NODE_KEY) == node
    assert not next_keys_named(folder, registered)
    assert not (folder / NEXT_VALIDATOR_KEY).exists()
    card = read_card(folder / CARD)
    assert card.member == registered
    assert card.p2p_address.startswith(f"{node.node_id}@")


def test_what_was_signed_is_remembered_without_the_signature_of_the_key_before(folder: Path) -> None:
    state = {"height": "7", "round": 1, "step": 3, "signature": "AAAA", "signbytes": "BB"}
    (folder / LEDGER / SIGNING_STATE).write_text(json.dumps(state))
    adopt_engine_keys(folder, named(folder))
    signed, signature = read_last_signature(folder / LEDGER)
    assert (signed.height, signed.round, signed.step) == (7, 1, 3)
    assert signature == ""
    assert "BB" not in (folder / LEDGER / SIGNING_STATE).read_text()


def test_a_memory_that_is_lost_is_not_made_up(folder: Path) -> None:
    (folder / LEDGER / SIGNING_STATE).unlink()
    adopt_engine_keys(folder, named(folder))
    assert not (folder / LEDGER / SIGNING_STATE).exists(), "the guard has the validator observe"


@pytest.mark.parametrize("content", [b"", b"{", b'{"priv_key":{}}'])
def test_a_next_key_that_cannot_be_read_is_none(folder: Path, content: bytes) -> None:
    registered, before = named(folder), keys(folder)
    (folder / NEXT_VALIDATOR_KEY).write_bytes(content)
    (folder / NEXT_NODE_KEY).write_bytes(content)
    assert not next_keys_named(folder, registered)
    adopt_engine_keys(folder, registered)
    assert keys(folder) == before


def test_one_of_both_may_be_named(folder: Path) -> None:
    node = read_key(folder / NODE_KEY)
    next_node_key(folder)
    registered = msgspec.structs.replace(me(folder), validator_key=next_validator_key(folder).public.hex())
    adopt_engine_keys(folder, registered)
    assert read_key(folder / NODE_KEY) == node
    assert (folder / NEXT_NODE_KEY).exists()
