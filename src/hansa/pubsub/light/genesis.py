"""What a genesis says to a light client: the ledger's name, the first validators, and the members' keys."""

from __future__ import annotations

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.core.keys import PublicJwk
from hansa.pubsub.genesis import read_genesis_parts
from hansa.pubsub.light.chain.rpc_form import time_ns_of
from hansa.pubsub.light.chain.validators import RPC_KEY_TYPES, LightValidator, ValidatorSet
from hansa.pubsub.light.chain.verifying import Trusted, trusted_genesis
from hansa.pubsub.light.receipts import KnownKeys


class _Member(msgspec.Struct, frozen=True):
    did: str
    keys: tuple[PublicJwk, ...] = ()


class _AppState(msgspec.Struct, frozen=True):
    """Of whatever rules: a receipt is verified years later, by a release that need not know them."""

    members: tuple[_Member, ...] = ()


def read_trusted_genesis(raw: bytes) -> tuple[Trusted, KnownKeys]:
    """What somebody trusts who has a league's genesis.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        genesis = read_genesis_parts(raw)
        state = msgspec.json.decode(genesis.app_state or b"{}", type=_AppState)
        validators = [
            LightValidator(one.public_key, one.power, RPC_KEY_TYPES[one.key_type].name)
            for one in genesis.validators
        ]
        # The engine's own order: by power, then by address.
        ordered = ValidatorSet(tuple(sorted(validators, key=lambda one: (-one.power, one.address))))
        ordered.check()
        trusted = trusted_genesis(genesis.chain_id, time_ns_of(genesis.genesis_time), ordered)
    except (*UNREADABLE, KeyError, Refused) as error:
        raise Refused(Code.INVALID, "This is no genesis of a league.") from error
    keys = {(member.did, key.kid): key for member in state.members for key in member.keys}
    return trusted, KnownKeys(keys)
