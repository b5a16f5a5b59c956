"""The engine's two Ed25519 keys, in CometBFT's JSON formats.

The *node key* is the identity on the peer-to-peer network: other nodes dial `<node id>@host:port` and drop a
connection whose key does not have that id. The *validator key* signs proposals and votes. Both are written
once and never replaced: a validator key that signs in two places at once is proof of misbehaviour.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.core.errors import Code, Fatal
from hansa.core.files import RESTORE_IT, read_file

PRIVATE_TYPE: Final = "tendermint/PrivKeyEd25519"
PUBLIC_TYPE: Final = "tendermint/PubKeyEd25519"

SEED_SIZE_BYTES: Final = 32
ADDRESS_SIZE_BYTES: Final = 20


class EngineKey(msgspec.Struct, frozen=True):
    """An Ed25519 key pair. `seed` (RFC 8032) is the secret; representations leave it out."""

    seed: bytes
    public: bytes

    @classmethod
    def generate(cls) -> Self:
        """A new key. Its randomness comes from the cryptography library, as key material must."""
        return cls.from_seed(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The key of a 32-byte seed."""
        assert len(seed) == SEED_SIZE_BYTES
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return cls(seed=seed, public=public)

    def __repr__(self) -> str:
        return f"EngineKey({self.node_id})"

    @property
    def node_id(self) -> str:
        """What peers call a node with this key: 40 hexadecimal digits, lower case."""
        return address_of(self.public).hex()

    @property
    def address(self) -> str:
        """What blocks and votes call a validator with this key: the same digits, upper case."""
        return self.node_id.upper()

    def node_document(self) -> bytes:
        """The content of `node_key.json`."""
        return document({"priv_key": self._private_document()})

    def validator_document(self) -> bytes:
        """The content of `priv_validator_key.json`."""
        return document(
            {
                "address": self.address,
                "pub_key": public_document(self.public),
                "priv_key": self._private_document(),
            }
        )

    def _private_document(self) -> dict[str, str]:
        return {"type": PRIVATE_TYPE, "value": base64.b64encode(self.seed + self.public).decode()}


def address_of(public: bytes) -> bytes:
    """CometBFT's address of a public key: the first 20 bytes of its SHA-256."""
    return hashlib.sha256(public).digest()[:ADDRESS_SIZE_BYTES]


def public_document(public: bytes) -> dict[str, str]:
    """A public key as genesis and validator files write it."""
    return {"type": PUBLIC_TYPE, "value": base64.b64encode(public).decode()}


def read_key(path: Path) -> EngineKey:
    """Read a `node_key.json` or a `priv_validator_key.json`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file: it is missing, cannot be read, or holds no key.
    """
    content = read_file(path)
    try:
        private = msgspec.json.decode(content)["priv_key"]
        raw = base64.b64decode(private["value"], validate=True)
        if private["type"] != PRIVATE_TYPE or len(raw) != 2 * SEED_SIZE_BYTES:
            raise ValueError(private["type"])
        key = EngineKey.from_seed(raw[:SEED_SIZE_BYTES])
        if key.public != raw[SEED_SIZE_BYTES:]:
            raise ValueError("the public half belongs to another key")
    except (msgspec.DecodeError, binascii.Error, KeyError, TypeError, ValueError) as error:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{path} does not hold an Ed25519 key of the engine. {RESTORE_IT}",
        ) from error
    return key


def document(content: dict[str, Any]) -> bytes:
    """JSON as CometBFT writes it: indented, for people."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
