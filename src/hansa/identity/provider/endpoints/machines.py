"""Machines: a client that presents its LEARCredentialMachine with what it asks for.

The presentation is in the client's assertion, as it is or, as DOME's machines write it, in base64 once more.
It is for this OpenID Provider alone, signed just now by the one to whom the credential was issued, and good
once. There is no nonce: nobody asked for it before. A machine that is not registered is the one to whom its
credential was issued.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from hansa.core.errors import Refused
from hansa.identity.credentials import CredentialVerifier, PresentationRequest, format_of
from hansa.identity.credentials.formats.document import read_claims, read_jws
from hansa.identity.principal import Principal, RoleRules, principal_of
from hansa.identity.provider.clients.assertions import MACHINE_DIDS, AuthenticatedClient
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_grant

PRESENTATION_SIZE_MAX_BYTES: Final = 98_304

_BASE64: Final = re.compile("[A-Za-z0-9+/_-]+={0,2}", re.ASCII)


class Machines:
    """Finds out which machine a client is.

    Args:
        verifier: Verifies its credential.
        rules: What roles follow from it.
        audiences: For whom the presentation may be; the first one is usual.
    """

    def __init__(self, verifier: CredentialVerifier, rules: RoleRules, audiences: tuple[str, ...]) -> None:
        self._verifier = verifier
        self._rules = rules
        self._audiences = audiences

    async def principal(self, authenticated: AuthenticatedClient) -> Principal:
        """The machine whose credential a client presents.

        Raises:
            OAuthRefused: `invalid_grant`.
            Unavailable: The registry of issuers cannot be asked, or too many are presented.
        """
        try:
            text = plain_presentation(authenticated.vp_token)
            format, is_presented = format_of(text)
            if not is_presented:
                raise invalid_grant("vp_token is a credential, and no presentation of one.")
            request = PresentationRequest(self._audience(text), None)
            presentation = await self._verifier.presentation(text, format, request)
            principal = principal_of(presentation, self._rules)
        except OAuthRefused:
            raise
        except Refused as error:
            raise invalid_grant(f"The credential was refused ({error.code}).") from error
        if principal.kind != "machine":
            raise invalid_grant("The credential is of a person, who logs in with a wallet.")
        client_id = authenticated.client.client_id
        if client_id.startswith(MACHINE_DIDS) and presentation.holder_did != client_id:
            raise invalid_grant("The credential was issued to somebody else than this client.")
        return principal

    def _audience(self, text: str) -> str:
        """For whom a presentation says that it is, when that is us."""
        signed = text.rpartition("~")[2]
        audience = read_claims(read_jws(signed).payload).get("aud")
        if isinstance(audience, list) and len(audience) == 1:
            audience = audience[0]
        is_ours = isinstance(audience, str) and audience in self._audiences
        return str(audience) if is_ours else self._audiences[0]


def plain_presentation(text: str) -> str:
    """A presentation as it was signed.

    Raises:
        OAuthRefused: `invalid_grant`, when it is too long or no text.
    """
    if len(text) > PRESENTATION_SIZE_MAX_BYTES:
        raise invalid_grant("vp_token is too long.")
    if "." in text or _BASE64.fullmatch(text) is None:
        return text
    try:
        padded = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise invalid_grant("vp_token is neither a presentation nor one in base64.") from error
