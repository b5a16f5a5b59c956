"""Secrets of clients, for software that knows nothing better (`client_secret_basic`, `client_secret_post`).

A secret is drawn here, 256 bits of it, so nobody guesses it, and a digest is enough to know it again: it is
shown once, to the operator. The digest is bound to the client, and is of no use in the record of another one.
When a secret is rotated, the one before it may be good for a while longer, so that nobody is locked out
meanwhile.

A secret is compared as digests, each of those that there are, in a time that does not depend on them; a
client that does not exist, or has none, takes as long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.identifiers import Entropy
from hansa.identity.provider.clients.records import SECRETS_MAX, ClientRecord, ClientSecret
from hansa.identity.provider.oauth_errors import invalid_client

SECRET_SIZE_BYTES: Final = 32
BASIC_MAX_CHARS: Final = 2048

_PURPOSE: Final = b"hansa client secret 1"
_NO_DIGEST: Final = "0" * 43
_BASIC: Final = re.compile(r"[Bb][Aa][Ss][Ii][Cc] +([A-Za-z0-9+/]+={0,2})", re.ASCII)


class BasicCredentials(msgspec.Struct, frozen=True):
    """Whom an Authorization header names, and its secret."""

    client_id: str
    client_secret: str


def new_client_secret(client_id: str, entropy: Entropy) -> tuple[str, ClientSecret]:
    """A secret for a client, and what is kept of it."""
    secret = to_base64url(entropy(SECRET_SIZE_BYTES))
    return secret, ClientSecret(client_secret_digest(client_id, secret))


def client_secret_digest(client_id: str, secret: str) -> str:
    """By which a secret of a client is known again: SHA-256 in base64url."""
    parts = (_PURPOSE, client_id.encode("utf-8", "surrogatepass"), secret.encode("utf-8", "surrogatepass"))
    return to_base64url(hashlib.sha256(b"".join(len(one).to_bytes(4) + one for one in parts)).digest())


def is_client_secret(client: ClientRecord | None, client_id: str, secret: str, now_s: float) -> bool:
    """Whether a secret is one of a client now.

    Args:
        client: Of that client_id, if it shows secrets in this way; None: there is none.
        client_id: As it was sent.
        secret: As it was sent.
        now_s: Seconds since 1970.
    """
    shown = client_secret_digest(client_id, secret).encode()
    present = () if client is None else client.client_secrets
    good = [one.digest for one in present if one.expires_s is None or now_s < one.expires_s]
    good += [_NO_DIGEST] * (SECRETS_MAX - len(good))
    return sum(hmac.compare_digest(shown, one.encode()) for one in good) > 0


def with_rotated_secret(
    client: ClientRecord, secret: ClientSecret, now_s: int, overlap_s: int
) -> ClientRecord:
    """A client with a further secret, which takes the place of the present one.

    Args:
        client: Has a secret.
        secret: The further one.
        now_s: Seconds since 1970.
        overlap_s: How long the present one stays good; 0: not at all. Those before it are good no more.
    """
    assert client.client_secrets, "there is something to rotate"
    before = msgspec.structs.replace(client.client_secrets[-1], expires_s=now_s + overlap_s)
    return msgspec.structs.replace(client, client_secrets=(before, secret) if overlap_s else (secret,))


def read_basic(authorization: str) -> BasicCredentials:
    """The client and its secret in an Authorization header, both percent-encoded (RFC 6749, section 2.3.1).

    Raises:
        OAuthRefused: `invalid_client`.
    """
    match = _BASIC.fullmatch(authorization) if len(authorization) <= BASIC_MAX_CHARS else None
    try:
        if match is None:
            raise ValueError
        decoded = base64.b64decode(match[1], validate=True).decode("utf-8")
        client_id, colon, secret = decoded.partition(":")
        named, shown = (unquote_plus(one, errors="strict") for one in (client_id, secret))
        if not colon or not named or not shown:
            raise ValueError
    except (binascii.Error, ValueError) as error:  # UnicodeDecodeError is one
        raise invalid_client("The Authorization header has no client_id and secret (HTTP Basic).") from error
    return BasicCredentials(named, shown)
