"""The genesis document of a league, read once for everybody who needs something of it.

The engine, the folder of a marketplace and light clients need different parts. What is common is read here:
the ledger's name, the time, and the validators of the first block. `app_state` is left as it is:
`hansa.pubsub.ledger.genesis` reads it by the rules of this release, and a verifier of receipts, who may be of
an older release, reads the members' keys alone (`hansa.pubsub.light.genesis`).
"""

from __future__ import annotations

import base64

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused


class FoundingValidator(msgspec.Struct, frozen=True):
    """A validator of the first block."""

    public_key: bytes
    power: int
    key_type: str
    """As the engine's JSON names it, as `tendermint/PubKeyEd25519`."""


class GenesisParts(msgspec.Struct, frozen=True):
    """What is read of a genesis document."""

    chain_id: str
    genesis_time: str
    """RFC 3339, as it is written; another one for a league that was founded anew."""
    validators: tuple[FoundingValidator, ...]
    app_state: bytes
    """JSON, not read yet; empty where the document has none."""

    @property
    def powers(self) -> dict[str, int]:
        """Voting power of the validators, by public key in hex."""
        return {one.public_key.hex(): one.power for one in self.validators}


class _Key(msgspec.Struct, frozen=True):
    type: str
    value: str


class _Validator(msgspec.Struct, frozen=True):
    pub_key: _Key
    power: str
    """A whole number; the engine writes 64 bits as text."""


class _Document(msgspec.Struct, frozen=True):
    chain_id: str
    genesis_time: str
    validators: tuple[_Validator, ...] = ()
    app_state: msgspec.Raw = msgspec.Raw(b"")


def read_genesis_parts(raw: bytes) -> GenesisParts:
    """What a genesis document says, nothing of it checked beyond its form.

    Raises:
        Refused: `Code.INVALID`, saying what cannot be read.
    """
    try:
        document = msgspec.json.decode(raw, type=_Document)
        validators = tuple(
            FoundingValidator(
                base64.b64decode(one.pub_key.value, validate=True), int(one.power), one.pub_key.type
            )
            for one in document.validators
        )
    except (*UNREADABLE, ValueError) as error:
        raise Refused(Code.INVALID, f"It is not a readable genesis: {error}.") from error
    return GenesisParts(document.chain_id, document.genesis_time, validators, bytes(document.app_state))
