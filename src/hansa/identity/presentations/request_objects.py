"""Request objects: what a wallet fetches, signed (OpenID4VP 1.0, section 5; RFC 9101).

A wallet is given a short link with the address of the request (`request_uri`) and gets a JWT there: which
credentials, for whom, until when, and to which key the answer is to be encrypted. A wallet that posts a nonce
of its own (`request_uri_method=post`) gets it back in the request, so that it knows that the request was
signed for it, now.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from hansa.core.errors import Code, Refused
from hansa.core.policies import ResponseMode
from hansa.identity.credentials.formats.cose import COSE_ALGORITHMS
from hansa.identity.foreign_jws import JWS_ALGORITHMS
from hansa.identity.presentations.encryption import ENCRYPTIONS, ResponseKey
from hansa.identity.presentations.query import PresentationQuery
from hansa.identity.presentations.verifier_identity import VerifierIdentity

REQUEST_TYPE: Final = "oauth-authz-req+jwt"
REQUEST_MEDIA_TYPE: Final = f"application/{REQUEST_TYPE}"
WALLET_AUDIENCE: Final = "https://self-issued.me/v2"
"""Of a request to no wallet in particular (OpenID4VP 1.0, section 5.8)."""
REGISTRATION_FORMAT: Final = "registration_cert"
"""Of a registration certificate in `verifier_info` (ETSI TS 119 472-2)."""

_ALGORITHMS: Final = tuple(name for name in JWS_ALGORITHMS if name != "Ed25519")
_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "dc+sd-jwt": {"sd-jwt_alg_values": _ALGORITHMS, "kb-jwt_alg_values": _ALGORITHMS},
    "jwt_vc_json": {"alg_values": _ALGORITHMS},
    "mso_mdoc": {
        "issuerauth_alg_values": tuple(COSE_ALGORITHMS),
        "deviceauth_alg_values": tuple(COSE_ALGORITHMS),
    },
}
_WALLET_NONCE: Final = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)


class RequestObjects:
    """Makes the requests of a verifier.

    Args:
        identity: Signs them.
        query: What they ask for.
        mode: How they are to be answered.
        lifetime_s: How long one is good.
        registration: Registration certificate of this relying party, a JWT; empty: it has none.
    """

    def __init__(
        self,
        identity: VerifierIdentity,
        query: PresentationQuery,
        mode: ResponseMode,
        lifetime_s: int,
        registration: str = "",
    ) -> None:
        self._identity = identity
        self._query = query
        self._mode = mode
        self._lifetime_s = lifetime_s
        self._registration = registration

    def signed(
        self,
        response_uri: str,
        nonce: str,
        state: str,
        key: ResponseKey,
        now_s: int,
        wallet_nonce: str | None = None,
        formats: Collection[str] = (),
    ) -> str:
        """A request object.

        Args:
            response_uri: Where the answer is to be posted.
            nonce: By which the presentation is bound to this request.
            state: By which the answer is.
            key: To which the answer is to be encrypted.
            now_s: Seconds since 1970.
            wallet_nonce: Of the wallet; None: it sent none.
            formats: Of credentials, that the wallet knows; none: it does not say.

        Raises:
            Refused: `Code.INVALID`, when the wallet's nonce is none.
        """
        claims: dict[str, Any] = {
            "iss": self._identity.client_id,
            "aud": WALLET_AUDIENCE,
            "client_id": self._identity.client_id,
            "response_type": "vp_token",
            "response_mode": self._mode,
            "response_uri": response_uri,
            "nonce": nonce,
            "state": state,
            "iat": now_s,
            "exp": now_s + self._lifetime_s,
            "dcql_query": self._query.dcql(formats),
            "client_metadata": self._metadata(key, formats),
        }
        if wallet_nonce is not None:
            if _WALLET_NONCE.fullmatch(wallet_nonce) is None:
                raise Refused(Code.INVALID, "`wallet_nonce` is no text of 1 to 512 visible characters.")
            claims["wallet_nonce"] = wallet_nonce
        if self._registration:
            claims["verifier_info"] = [{"format": REGISTRATION_FORMAT, "data": self._registration}]
        return self._identity.sign(claims, REQUEST_TYPE)

    def link(self, scheme: str, request_uri: str) -> str:
        """The link that opens a wallet with a request.

        Args:
            scheme: As `openid4vp://`, or the address of a wallet on the web.
            request_uri: Where the wallet fetches the request.
        """
        query = urlencode(
            {
                "client_id": self._identity.client_id,
                "request_uri": request_uri,
                "request_uri_method": "post",
            }
        )
        return f"{scheme}{'&' if '?' in scheme else '?'}{query}"

    def _metadata(self, key: ResponseKey, formats: Collection[str]) -> Mapping[str, Any]:
        metadata: dict[str, Any] = {
            "vp_formats_supported": {name: _FORMATS[name] for name in self._query.formats(formats)}
        }
        if self._mode == "direct_post.jwt":
            encryptions: Sequence[str] = ENCRYPTIONS
            metadata |= {
                "jwks": {"keys": [key.public()]},
                "encrypted_response_enc_values_supported": encryptions,
            }
        return metadata
