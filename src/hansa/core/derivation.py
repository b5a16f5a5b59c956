"""Keys that follow from one secret of a marketplace: HKDF with SHA-256 (RFC 5869), one for each purpose.

The secret is made with the marketplace's folder and never replaced. It is no other key's: what follows from
it stays the same when keys are rotated and when the store is lost, and whoever learns a derived key learns
neither the secret nor another one of its keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Fatal
from hansa.core.files import read_file

SECRET_SIZE_BYTES: Final = 32
DERIVED_SIZE_BYTES: Final = 32


class _SecretJwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A secret in its file (RFC 7518, 6.4)."""

    k: str
    kty: str


class DerivationSecret:
    """The secret from which a marketplace derives keys.

    Args:
        secret: `SECRET_SIZE_BYTES` random bytes.
    """

    def __init__(self, secret: bytes) -> None:
        assert len(secret) == SECRET_SIZE_BYTES, "a secret has one length"
        self._secret = secret

    @classmethod
    def generate(cls) -> DerivationSecret:
        """A new secret, with randomness of the cryptography library."""
        return cls(ChaCha20Poly1305.generate_key())

    @classmethod
    def load(cls, path: Path) -> DerivationSecret:
        """Read a secret from its file.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, naming the file: it cannot be read, or holds no secret.
        """
        try:
            jwk = msgspec.json.decode(read_file(path), type=_SecretJwk)
            secret = from_base64url(jwk.k)
        except (*UNREADABLE, ValueError) as error:
            raise _unusable(path) from error
        if jwk.kty != "oct" or len(secret) != SECRET_SIZE_BYTES:
            raise _unusable(path)
        return cls(secret)

    def document(self) -> bytes:
        """The secret as a JSON Web Key, for a file that its owner alone reads."""
        return msgspec.json.encode(_SecretJwk(to_base64url(self._secret), "oct")) + b"\n"

    def key(self, purpose: bytes) -> bytes:
        """The key for a purpose: another one for every purpose, the same whenever it is derived.

        Args:
            purpose: Its name and a number, which changes with what the key is used for and with nothing else.
        """
        return HKDF(SHA256(), DERIVED_SIZE_BYTES, None, purpose).derive(self._secret)


def _unusable(path: Path) -> Fatal:
    return Fatal(
        Code.SETTINGS_INVALID,
        f"{path} does not hold a secret (a JSON Web Key of the type oct). Restore it from a backup: with another one, "
        "the other members take the callers of this marketplace for new ones.",
    )
