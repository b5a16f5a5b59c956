"""Validators of the engine: keys, powers, and the hash of a set that headers name (`validators_hash`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from hansa.core.errors import Code, Refused
from hansa.core.merkle import leaf_hash, root
from hansa.pubsub.light.chain import wire

ADDRESS_SIZE_BYTES: Final = 20
VALIDATORS_MAX: Final = 1024
"""In a set that is verified here: bounds the work for a stranger's light block."""
TOTAL_POWER_MAX: Final = 2**60
"""CometBFT's own bound (`MaxTotalVotingPower`)."""


class KeyType(msgspec.Struct, frozen=True):
    """A kind of validator key that the engine has."""

    name: str
    """In our own documents."""
    rpc_name: str
    """In the JSON of the engine's RPC."""
    field: int
    """Of `tendermint.crypto.PublicKey`."""
    key_size_bytes: int
    signature_size_bytes: int
    verify: Callable[[bytes, bytes, bytes], None]
    """Takes key, signature and message; raises when it is not the key's."""


def _verify_ed25519(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


def _verify_ml_dsa_65(key: bytes, signature: bytes, message: bytes) -> None:
    MLDSA65PublicKey.from_public_bytes(key).verify(signature, message)


ED25519: Final = KeyType("ed25519", "tendermint/PubKeyEd25519", 1, 32, 64, _verify_ed25519)
ML_DSA_65: Final = KeyType("ml-dsa-65", "cometbft/PubKeyMlDsa65", 4, 1952, 3309, _verify_ml_dsa_65)
KEY_TYPES: Final[Mapping[str, KeyType]] = MappingProxyType({one.name: one for one in (ED25519, ML_DSA_65)})
RPC_KEY_TYPES: Final[Mapping[str, KeyType]] = MappingProxyType(
    {one.rpc_name: one for one in (ED25519, ML_DSA_65)}
)


class LightValidator(msgspec.Struct, frozen=True, dict=True):
    """One validator of a set."""

    public_key: bytes
    power: int
    key_type: str = ED25519.name

    @cached_property
    def address(self) -> bytes:
        """What commits call it: the first 20 bytes of the SHA-256 of its key."""
        return hashlib.sha256(self.public_key).digest()[:ADDRESS_SIZE_BYTES]

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature over these bytes is the validator's."""
        kind = KEY_TYPES[self.key_type]
        if len(signature) != kind.signature_size_bytes or len(self.public_key) != kind.key_size_bytes:
            return False
        try:
            kind.verify(self.public_key, signature, message)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return True

    def encoded(self) -> bytes:
        """What is hashed of it (`tendermint.types.SimpleValidator`)."""
        key = wire.message(KEY_TYPES[self.key_type].field, self.public_key)
        return wire.message(1, key) + wire.number(2, self.power)


class ValidatorSet(msgspec.Struct, frozen=True, dict=True):
    """The validators of one height, in the order that the engine gives them."""

    validators: tuple[LightValidator, ...]

    @cached_property
    def hash(self) -> bytes:
        """What headers name a set by."""
        return root([leaf_hash(one.encoded()) for one in self.validators])

    @cached_property
    def total_power(self) -> int:
        """Voting power of all together."""
        return sum(one.power for one in self.validators)

    @cached_property
    def by_address(self) -> Mapping[bytes, LightValidator]:
        """The validators by their addresses."""
        return {one.address: one for one in self.validators}

    def check(self) -> None:
        """Check that a set from elsewhere is one that can vote.

        Raises:
            Refused: `Code.PROOF_INVALID`.
        """
        if not 1 <= len(self.validators) <= VALIDATORS_MAX:
            raise Refused(Code.PROOF_INVALID, f"A validator set has 1 to {VALIDATORS_MAX} validators.")
        if len({one.public_key for one in self.validators}) < len(self.validators):
            raise Refused(Code.PROOF_INVALID, "A validator set names the same key twice.")
        if any(one.power <= 0 for one in self.validators) or self.total_power > TOTAL_POWER_MAX:
            raise Refused(Code.PROOF_INVALID, "A validator set has a voting power out of bounds.")
