"""Refusals of the issuer's protocol: the error codes of OAuth (RFC 6749) and of OpenID4VCI 1.0."""

from __future__ import annotations

from typing import Literal

from hansa.core.errors import Code, Refused

IssuingError = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unsupported_grant_type",
    "invalid_token",
    "invalid_dpop_proof",
    "invalid_credential_request",
    "unknown_credential_configuration",
    "unknown_credential_identifier",
    "invalid_encryption_parameters",
    "invalid_proof",
    "invalid_nonce",
    "credential_request_denied",
]


class IssuingRefused(Refused):
    """A wallet's request is refused.

    Args:
        error: Code of the protocol.
        message: For the developer of a wallet: a sentence of ours, in ASCII.
    """

    def __init__(self, error: IssuingError, message: str) -> None:
        super().__init__(Code.UNAUTHENTICATED if error == "invalid_token" else Code.INVALID, message)
        self.error: IssuingError = error
