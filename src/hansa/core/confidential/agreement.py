"""Key agreement between members: X25519 (RFC 7748), and HKDF with SHA-256 (RFC 5869).

Each member registers the public half of one key on the ledger (`Member.agreement_key`). Who seals an event
uses a key of its own beside it, which it makes when it starts and again every hour, and which it never
writes anywhere: whoever takes a member's files later cannot read what the member has sent. So a secret
belongs to one key of a sender and one registered key of a recipient, in one direction, in one league; both
sides derive it once and cache it.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.core.base64url import to_base64url
from hansa.core.bounded_json import UNREADABLE
from hansa.core.cache import Cache
from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file
from hansa.core.identifiers import Entropy

KEY_SIZE_BYTES: Final = 32
SECRETS_CACHED_MAX: Final = 4096
_PURPOSE: Final = b"hansa confidential 1"
_NOTHING: Final = b""
"""In the cache: these two keys have no secret."""


class _PrivateJwk(msgspec.Struct, frozen=True):
    """A private key in its file (RFC 8037)."""

    crv: str
    d: str
    kty: str
    x: str


class AgreementKey:
    """A private key for key agreement, and its public half."""

    def __init__(self, private: bytes) -> None:
        """Take the 32 bytes of a private key."""
        assert len(private) == KEY_SIZE_BYTES, "a private key of X25519 has 32 bytes"
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public_bytes: Final = self._private.public_key().public_bytes_raw()
        self.public: Final = to_base64url(self.public_bytes)
        """As the registry has it: base64url without padding."""

    @classmethod
    def generate(cls, entropy: Entropy | None = None) -> AgreementKey:
        """A new key; by default with randomness of the cryptography library."""
        if entropy is None:
            return cls(X25519PrivateKey.generate().private_bytes_raw())
        return cls(entropy(KEY_SIZE_BYTES))

    @classmethod
    def load(cls, path: Path) -> AgreementKey:
        """Read a private JWK.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, naming the file: it is missing, cannot be read, or holds no key.
        """
        content = read_file(path)
        try:
            jwk = msgspec.json.decode(content, type=_PrivateJwk)
            key = cls(decoded_key(jwk.d))
        except (*UNREADABLE, ValueError) as error:
            raise _unusable(path) from error
        if (jwk.kty, jwk.crv, jwk.x) != ("OKP", "X25519", key.public):
            raise _unusable(path)
        return key

    def private_document(self) -> bytes:
        """The private JWK, for a file that its owner alone reads."""
        jwk = _PrivateJwk("X25519", to_base64url(self._private.private_bytes_raw()), "OKP", self.public)
        return msgspec.json.encode(jwk) + b"\n"

    def agreed(self, public: bytes) -> bytes:
        """What this key and a public one agree on; nothing with one of the few that agree with every key."""
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            return _NOTHING


class PairwiseSecrets:
    """The secrets of senders and recipients in one league.

    Args:
        league: Name of its chain.
    """

    def __init__(self, league: str) -> None:
        self._league = league.encode()
        self.cache: Final[Cache[tuple[bytes, bytes, str, str], bytes]] = Cache(
            "pairwise_secrets", SECRETS_CACHED_MAX
        )

    def of_sender(self, key: AgreementKey, issuer: str, recipient: str, registered: str) -> bytes | None:
        """The secret of a sender with one recipient; None: the registered key of that is of no use.

        Args:
            key: Of the sender.
            issuer: DID of the sender.
            recipient: DID.
            registered: Public key of the recipient, as the registry has it.
        """
        public = decoded_key(registered)
        return self._secret(key, public, (key.public_bytes, public, issuer, recipient))

    def of_recipient(self, key: AgreementKey, issuer: str, recipient: str, sender: bytes) -> bytes | None:
        """The secret of a recipient with one sender; None: the key of the sender is of no use.

        Args:
            key: Of the recipient.
            issuer: DID of the sender.
            recipient: DID.
            sender: Public key that the sender used.
        """
        return self._secret(key, sender, (sender, key.public_bytes, issuer, recipient))

    def _secret(self, key: AgreementKey, other: bytes, name: tuple[bytes, bytes, str, str]) -> bytes | None:
        secret = self.cache.get(name)
        if secret is None:
            agreed = key.agreed(other)
            secret = self._derived(agreed, name) if agreed else _NOTHING
            self.cache.put(name, secret)
        return secret or None

    def _derived(self, agreed: bytes, name: tuple[bytes, bytes, str, str]) -> bytes:
        sender, recipient_key, issuer, recipient = name
        info = b"\0".join((_PURPOSE, issuer.encode(), recipient.encode(), sender + recipient_key))
        return HKDF(SHA256(), KEY_SIZE_BYTES, self._league, info).derive(agreed)


def decoded_key(text: str) -> bytes:
    """The bytes of a key in base64url.

    Raises:
        ValueError: They are not 32.
    """
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != KEY_SIZE_BYTES:
        raise ValueError(f"a key has {KEY_SIZE_BYTES} bytes, not {len(raw)}")
    return raw


def _unusable(path: Path) -> Fatal:
    return Fatal(
        Code.SETTINGS_INVALID,
        f"{path} does not hold a key for key agreement (a JSON Web Key of X25519). Restore it from a backup, or remove "
        "it and run: hansa keys rotate D --key agreement",
    )
