"""The engine's two keys, in CometBFT's JSON formats.

The *node key* is the identity on the peer-to-peer network: other nodes dial `<node id>@host:port` and drop a
connection whose key does not have that id. It is an Ed25519 key. The *validator key* signs proposals and
votes. It is of Ed25519, or of ML-DSA-65 (FIPS 204), which no quantum computer is known to break. Both are
written once and never replaced: a validator key that signs in two places at once is proof of misbehaviour.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal
from hansa.core.files import RESTORE_IT, read_file
from hansa.pubsub.engine import ml_dsa

SEED_SIZE_BYTES: Final = 32
ADDRESS_SIZE_BYTES: Final = 20


KeyType = Literal["ed25519", "ml-dsa-65"]
"""What a validator's key can be of."""
KEY_TYPES: Final[tuple[KeyType, ...]] = get_args(KeyType)


class KeyFormat(msgspec.Struct, frozen=True):
    """How the engine writes keys of a type."""

    private_type: str
    public_type: str
    private_size_bytes: int
    public_size_bytes: int
    message_field: str
    """Of `tendermint.crypto.PublicKey`."""
    params_name: str
    """In the consensus parameters."""


KEY_FORMATS: Final[Mapping[KeyType, KeyFormat]] = {
    "ed25519": KeyFormat(
        "tendermint/PrivKeyEd25519", "tendermint/PubKeyEd25519", 64, 32, "ed25519", "ed25519"
    ),
    "ml-dsa-65": KeyFormat(
        "cometbft/PrivKeyMlDsa65",
        "cometbft/PubKeyMlDsa65",
        ml_dsa.PRIVATE_SIZE_BYTES,
        ml_dsa.PUBLIC_SIZE_BYTES,
        "mldsa65",
        "ml_dsa_65",
    ),
}


class EngineKey(msgspec.Struct, frozen=True):
    """A key pair. `private` is the secret, in the engine's form; representations leave it out."""

    private: bytes
    public: bytes

    @classmethod
    def generate(cls, key_type: KeyType = "ed25519") -> Self:
        """A new key. Its randomness comes from the cryptography library, as key material must."""
        if key_type == "ml-dsa-65":
            return cls(*ml_dsa.expand(MLDSA65PrivateKey.generate().private_bytes_raw()))
        return cls.from_seed(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The Ed25519 key of a 32-byte seed."""
        assert len(seed) == SEED_SIZE_BYTES
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return cls(private=seed + public, public=public)

    @property
    def key_type(self) -> KeyType:
        """What it is of."""
        return key_type_of(self.public)

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
        value = base64.b64encode(self.private).decode()
        return {"type": KEY_FORMATS[self.key_type].private_type, "value": value}


def address_of(public: bytes) -> bytes:
    """CometBFT's address of a public key: the first 20 bytes of its SHA-256."""
    return hashlib.sha256(public).digest()[:ADDRESS_SIZE_BYTES]


def public_document(public: bytes) -> dict[str, str]:
    """A public key as genesis and validator files write it."""
    return {
        "type": KEY_FORMATS[key_type_of(public)].public_type,
        "value": base64.b64encode(public).decode(),
    }


def key_type_of(public: bytes) -> KeyType:
    """What a public key is of, by its size."""
    return next(name for name, form in KEY_FORMATS.items() if form.public_size_bytes == len(public))


def read_key(path: Path) -> EngineKey:
    """Read a `node_key.json` or a `priv_validator_key.json`.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the file: it is missing, cannot be read, or holds no key.
    """
    content = read_file(path)
    try:
        private = msgspec.json.decode(content)["priv_key"]
        raw = base64.b64decode(private["value"], validate=True)
        key = _parsed(private["type"], raw)
    except (*UNREADABLE, KeyError, TypeError, ValueError) as error:
        raise Fatal(
            Code.SETTINGS_INVALID,
            f"{path} does not hold a key of the engine. {RESTORE_IT}",
        ) from error
    return key


def _parsed(private_type: str, raw: bytes) -> EngineKey:
    """A key from the value of its file. Raises `ValueError`."""
    sizes = {form.private_type: form.private_size_bytes for form in KEY_FORMATS.values()}
    if sizes[private_type] != len(raw):
        raise ValueError(private_type)
    if len(raw) == ml_dsa.PRIVATE_SIZE_BYTES:
        public = ml_dsa.public_of(raw)
        if hashlib.shake_256(public).digest(64) != raw[64:128]:
            raise ValueError("the parts belong to several keys")
        return EngineKey(raw, public)
    key = EngineKey.from_seed(raw[:SEED_SIZE_BYTES])
    if key.private != raw:
        raise ValueError("the public half belongs to another key")
    return key


def document(content: dict[str, Any]) -> bytes:
    """JSON as CometBFT writes it: indented, for people."""
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
