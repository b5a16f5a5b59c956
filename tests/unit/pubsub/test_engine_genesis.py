"""The genesis document."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import EngineKey, GenesisValidator, genesis_document
from hansa.pubsub.engine.genesis import CHAIN_ID_LENGTH_MAX

TIME = datetime(2026, 1, 1, tzinfo=UTC)
VALIDATORS = tuple(
    GenesisValidator(name=f"member-{n}", public_key=EngineKey.from_seed(bytes([n]) * 32).public, power=10)
    for n in range(1, 5)
)


@given(order=st.permutations(VALIDATORS))
def test_every_member_writes_the_same_document(order: list[GenesisValidator]) -> None:
    assert genesis_document("league", TIME, order, {"members": []}) == genesis_document(
        "league", TIME, VALIDATORS, {"members": []}
    )


def test_blocks_are_bounded_and_evidence_fits_into_one() -> None:
    params = json.loads(genesis_document("league", TIME, VALIDATORS, {}))["consensus_params"]
    assert params["block"]["max_bytes"] == "400000"
    assert int(params["evidence"]["max_bytes"]) < int(params["block"]["max_bytes"])


def test_the_application_state_is_carried_whole() -> None:
    state = {"members": [{"name": "Lübeck", "power": 1}], "nothing": None}
    assert json.loads(genesis_document("league", TIME, VALIDATORS, state))["app_state"] == state


@pytest.mark.parametrize(
    ("chain_id", "validators", "reason"),
    [
        ("", VALIDATORS, "chain id"),
        ("x" * (CHAIN_ID_LENGTH_MAX + 1), VALIDATORS, "chain id"),
        ("league", (), "at least one"),
        ("league", (GenesisValidator(name="a", public_key=b"1" * 32, power=0),), "voting power"),
        ("league", (VALIDATORS[0], VALIDATORS[0]), "same key"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_first(
    chain_id: str, validators: tuple[GenesisValidator, ...], reason: str
) -> None:
    with pytest.raises(Fatal, match=reason) as raised:
        genesis_document(chain_id, TIME, validators, {})
    assert raised.value.code is Code.SETTINGS_INVALID
