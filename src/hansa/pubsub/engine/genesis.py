"""The genesis document: what all members agree on before the first block.

Every member must start from the same document, so it is a pure function of its arguments, whatever order the
validators are listed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from hansa.core.clock import rfc3339
from hansa.core.errors import Code, Fatal
from hansa.pubsub.engine.keys import KEY_FORMATS, address_of, document, public_document

CHAIN_ID_LENGTH_MAX: Final = 50
"""CometBFT refuses a longer one."""

BLOCK_SIZE_MAX_BYTES: Final = 400_000
"""Bounded so that a full block is gossiped and verified well within the propose timeout. With blocks of
several megabytes an overloaded league collapses: every round times out before its block has been looked
at."""

EVIDENCE_SIZE_MAX_BYTES: Final = 100_000
"""Must be below the block's size; a piece of evidence (two votes) has some 500 bytes."""

EVIDENCE_AGE_MAX_BLOCKS: Final = 100_000
EVIDENCE_AGE_MAX: Final = timedelta(days=21)
"""Misbehaviour older than both is no longer punished; three weeks leave time to notice it. An idle league
makes no blocks, so the blocks alone would not do."""


class GenesisValidator(msgspec.Struct, frozen=True):
    """A validator of the first block."""

    name: str
    public_key: bytes
    """Of Ed25519 or ML-DSA-65 (`hansa.pubsub.engine.keys`)."""
    power: int


def genesis_document(
    chain_id: str, genesis_time: datetime, validators: Sequence[GenesisValidator], app_state: Any
) -> bytes:
    """The content of `genesis.json`.

    Args:
        chain_id: Names the ledger; signatures of one ledger are worth nothing on another.
        genesis_time: Before it no block is made.
        validators: At least one, each with voting power.
        app_state: JSON for the application's `InitChain`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when CometBFT would refuse the document.
    """
    check_arguments(chain_id, validators)
    ordered = sorted(validators, key=lambda validator: address_of(validator.public_key))
    return document(
        {
            "genesis_time": rfc3339(genesis_time),
            "chain_id": chain_id,
            "initial_height": "1",
            "consensus_params": consensus_params(),
            "validators": [
                {
                    "address": address_of(validator.public_key).hex().upper(),
                    "pub_key": public_document(validator.public_key),
                    "power": str(validator.power),
                    "name": validator.name,
                }
                for validator in ordered
            ],
            "app_hash": "",
            "app_state": app_state,
        }
    )


def check_arguments(chain_id: str, validators: Sequence[GenesisValidator]) -> None:
    """Refuse what CometBFT would refuse at start, with a message that says what to change."""
    complaint = None
    if not 0 < len(chain_id) <= CHAIN_ID_LENGTH_MAX:
        complaint = f"the chain id must have 1 to {CHAIN_ID_LENGTH_MAX} characters, not {len(chain_id)}"
    elif not validators:
        complaint = "a league needs at least one validator"
    elif any(validator.power <= 0 for validator in validators):
        complaint = "every validator of the first block needs voting power above 0"
    elif len({validator.public_key for validator in validators}) < len(validators):
        complaint = "two validators have the same key"
    if complaint is not None:
        raise Fatal(Code.SETTINGS_INVALID, f"This is no usable genesis: {complaint}.")


def consensus_params() -> dict[str, Any]:
    """The consensus parameters of a league. CometBFT writes 64-bit numbers as strings, durations in ns."""
    age_ns = int(EVIDENCE_AGE_MAX.total_seconds()) * 1_000_000_000
    return {
        "block": {"max_bytes": str(BLOCK_SIZE_MAX_BYTES), "max_gas": "-1"},
        "evidence": {
            "max_age_num_blocks": str(EVIDENCE_AGE_MAX_BLOCKS),
            "max_age_duration": str(age_ns),
            "max_bytes": str(EVIDENCE_SIZE_MAX_BYTES),
        },
        "validator": {"pub_key_types": [form.params_name for form in KEY_FORMATS.values()]},
        "version": {"app": "0"},
        "abci": {"vote_extensions_enable_height": "0"},
        "authority": {"authority": ""},
    }
