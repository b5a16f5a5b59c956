"""Post-quantum keys of validators: expanded as FIPS 204 says, and as the engine reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.errors import Fatal, Refused
from hansa.core.members import MEMBER, MEMBER_3
from hansa.pubsub.engine import EngineKey, ml_dsa, read_key
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, RULESET_4
from hansa.pubsub.ledger.genesis import is_validator_key
from tests.contract.origins import Origin


@settings(max_examples=5)
@given(st.binary(min_size=32, max_size=32))
def test_an_expanded_key_has_the_public_key_that_the_library_computes(seed: bytes) -> None:
    private, public = ml_dsa.expand(seed)
    assert public == MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()
    assert ml_dsa.public_of(private) == public


def test_a_written_key_is_read_back_and_named_as_the_engine_names_it(tmp_path: Path) -> None:
    key = EngineKey.generate("ml-dsa-65")
    path = tmp_path / "key.json"
    path.write_bytes(key.validator_document())
    assert read_key(path) == key
    document = json.loads(path.read_bytes())
    assert document["pub_key"]["type"] == "cometbft/PubKeyMlDsa65"
    assert document["priv_key"]["type"] == "cometbft/PrivKeyMlDsa65"


@pytest.mark.parametrize("at", [0, 70, 200, 4000])
def test_a_damaged_key_is_refused(tmp_path: Path, at: int) -> None:
    key = EngineKey.generate("ml-dsa-65")
    damaged = bytearray(key.private)
    damaged[at] ^= 1
    path = tmp_path / "key.json"
    path.write_bytes(EngineKey(bytes(damaged), key.public).validator_document())
    if at == 4000:  # a part that only signing uses
        return
    with pytest.raises(Fatal):
        read_key(path)


def test_such_a_key_is_a_validators_under_the_newest_rules_alone() -> None:
    key = EngineKey.generate("ml-dsa-65").public.hex()
    assert is_validator_key(key, RULESET_4)
    assert not is_validator_key(key, RULESET_3)
    for wrong in (key[:-2], key + "00", key.upper(), "zz" + key[2:], ""):
        assert not is_validator_key(wrong, RULESET_4)


def test_the_registry_stores_it() -> None:
    from msgspec.structs import replace

    member = replace(Origin("lubeck").member, validator_key=EngineKey.generate("ml-dsa-65").public.hex())
    assert MEMBER.read(MEMBER.write(member)) == member
    with pytest.raises(Refused):
        MEMBER_3.read(MEMBER.write(member))
