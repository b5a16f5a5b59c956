"""What the build put into the package: the engine, and the descriptions of its messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pool import Default
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine import engine_binary, engine_build, engine_environment
from hansa.pubsub.ledger.messages import Request, Response, enum_values, load_pool, message_class


def test_the_pinned_engine_is_there() -> None:
    assert engine_binary().name == "cometbft"
    assert engine_build().cometbft == "v0.40.0"


def test_a_missing_engine_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    for look in (engine_binary, engine_build):
        with pytest.raises(Fatal, match="make setup") as raised:
            look(tmp_path)
        assert raised.value.code is Code.ENGINE_MISSING
    (tmp_path / "cometbft").touch(mode=0o700)
    with pytest.raises(Fatal, match="description"):
        engine_build(tmp_path)


def test_variables_that_override_the_configuration_do_not_reach_the_engine() -> None:
    environment = {
        "PATH": "/bin",
        "CMTHOME": "/elsewhere",
        "CMT_P2P_LADDR": "x",
        "TMHOME": "y",
        "HOME": "/home",
    }
    assert engine_environment(environment) == {"PATH": "/bin", "HOME": "/home"}


def test_requests_and_responses_hold_one_message_each() -> None:
    request = Request()
    request.check_tx.tx = b"transaction"
    read = Request.FromString(request.SerializeToString())
    assert read.WhichOneof("value") == "check_tx"
    assert read.check_tx.tx == b"transaction"
    response = Response()
    response.finalize_block.app_hash = b"hash"
    assert response.WhichOneof("value") == "finalize_block"


@given(height=st.integers(0, 2**63 - 1), txs=st.lists(st.binary()), nanoseconds=st.integers(0, 2**62))
def test_a_block_survives_the_wire(height: int, txs: list[bytes], nanoseconds: int) -> None:
    block = message_class("tendermint.abci.RequestFinalizeBlock")
    sent = block(height=height, txs=txs)
    sent.time.FromNanoseconds(nanoseconds)
    assert block.FromString(sent.SerializeToString()) == sent


def test_enumerations_are_read_by_name() -> None:
    assert enum_values("tendermint.abci.ResponseProcessProposal.ProposalStatus") == {
        "UNKNOWN": 0,
        "ACCEPT": 1,
        "REJECT": 2,
    }


def test_the_messages_stay_out_of_the_common_pool() -> None:
    for name in ("tendermint/abci/types.proto", "gogoproto/gogo.proto"):
        with pytest.raises(KeyError):
            Default().FindFileByName(name)


def test_a_missing_or_damaged_description_says_what_to_do(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.binpb"
    damaged.write_bytes(b"\xff\xff")
    for path in (tmp_path / "missing.binpb", damaged):
        with pytest.raises(Fatal, match="make setup") as raised:
            load_pool(path)
        assert raised.value.code is Code.ENGINE_MISSING
