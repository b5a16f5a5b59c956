"""Signatures of notifications, by which a listener knows that they are of this marketplace, and not repeated.

The form is that of Standard Webhooks (https://www.standardwebhooks.com), version `v1`: HMAC-SHA256 with a
secret that the marketplace and the listener share. Three headers carry it:

    webhook-id          of the event; the same when it is sent again
    webhook-timestamp   of the attempt, in seconds since 1970
    webhook-signature   `v1,` and the signature of `<id>.<timestamp>.<body>` in base64; while a secret is
                        being exchanged one for each of the two, separated by a space

A secret is written `whsec_` and 32 random bytes in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from hansa.core.identifiers import Entropy

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins
SECRET_BYTES: Final = 32
SIGNATURE_VERSION: Final = "v1"
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


def new_secret(entropy: Entropy) -> str:
    """A secret that nobody has yet."""
    return SECRET_PREFIX + base64.b64encode(entropy(SECRET_BYTES)).decode()


def message_id(event_id: str) -> str:
    """The `webhook-id` of an event.

    Publishers choose the identifiers of events in topics; one that is not plain is named by its hash, so that
    it neither ends a header nor moves the borders of what is signed.
    """
    if _PLAIN_ID.fullmatch(event_id):
        return event_id
    return "msg_" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def signature_headers(secrets: Iterable[str], event_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a notification; none when there is no secret.

    Args:
        secrets: Of the listener: the current one, and the one before while that is still good.
        event_id: Of the event.
        timestamp_s: When it is sent.
        body: As it is sent.
    """
    identifier = message_id(event_id)
    content = f"{identifier}.{timestamp_s}.".encode() + body
    signatures = [f"{SIGNATURE_VERSION},{_signature(secret, content)}" for secret in secrets]
    if not signatures:
        return {}
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()
