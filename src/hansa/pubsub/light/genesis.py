"""What a genesis says to a light client: the ledger's name, the first validators, and the members' keys."""

from __future__ import annotations

import base64

import msgspec

from hansa.core.errors import Code, Refused
from hansa.core.keys import PublicJwk
from hansa.pubsub.light.chain.rpc_form import time_ns_of
from hansa.pubsub.light.chain.validators import RPC_KEY_TYPES, LightValidator, ValidatorSet
from hansa.pubsub.light.chain.verifying import Trusted, trusted_genesis
from hansa.pubsub.light.receipts import KnownKeys


class _Key(msgspec.Struct, frozen=True):
    type: str
    value: str


class _Validator(msgspec.Struct, frozen=True):
    pub_key: _Key
    power: str


class _Member(msgspec.Struct, frozen=True):
    did: str
    keys: tuple[PublicJwk, ...] = ()


class _AppState(msgspec.Struct, frozen=True):
    members: tuple[_Member, ...] = ()


class _Genesis(msgspec.Struct, frozen=True):
    chain_id: str
    genesis_time: str
    validators: tuple[_Validator, ...]
    app_state: _AppState = _AppState()


def read_trusted_genesis(raw: bytes) -> tuple[Trusted, KnownKeys]:
    """What somebody trusts who has a league's genesis.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        genesis = msgspec.json.decode(raw, type=_Genesis)
        validators = [
            LightValidator(
                base64.b64decode(one.pub_key.value, validate=True),
                int(one.power),
                RPC_KEY_TYPES[one.pub_key.type].name,
            )
            for one in genesis.validators
        ]
        # The engine's own order: by power, then by address.
        ordered = ValidatorSet(tuple(sorted(validators, key=lambda one: (-one.power, one.address))))
        ordered.check()
        trusted = trusted_genesis(genesis.chain_id, time_ns_of(genesis.genesis_time), ordered)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, KeyError, Refused) as error:
        raise Refused(Code.INVALID, "This is no genesis of a league.") from error
    keys = {(member.did, key.kid): key for member in genesis.app_state.members for key in member.keys}
    return trusted, KnownKeys(keys)
