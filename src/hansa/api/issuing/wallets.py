"""What wallets and verifiers request of the issuer (OpenID4VCI 1.0; status lists)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body, typed_body
from hansa.api.responses import JSON, json_response
from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.forms import unique_fields
from hansa.core.http import NO_STORE
from hansa.core.limits import Limits
from hansa.identity.issuing import (
    CredentialIssuer,
    IssuingRefused,
    PublishedLists,
    authorization_server_metadata,
    issuer_metadata,
)
from hansa.identity.provider.oauth_errors import OAuthRefused
from hansa.identity.provider.tokens.proofs import Proof, Proofs

FORM: Final = "application/x-www-form-urlencoded"
FORM_SIZE_MAX_BYTES: Final = 4096
FORM_FIELDS_MAX: Final = 16
REQUEST_SIZE_MAX_BYTES: Final = 204_800
ATTESTATION: Final = "oauth-client-attestation"
ATTESTATION_POP: Final = "oauth-client-attestation-pop"
LIST_NUMBER_MAX_DIGITS: Final = 9

_LIMITS: Final = Limits(
    body_depth_max=8, body_nodes_max=200, array_length_max_items=32, string_length_max_chars=24_576
)
_OF_PROOFS: Final = frozenset({"invalid_dpop_proof", "use_dpop_nonce"})
_PUBLIC_FOR: Final = "public, max-age=30"


class WalletsApi:
    """Handlers of these paths."""

    def __init__(
        self, issuer: CredentialIssuer, lists: PublishedLists, proofs: Proofs, endpoint: str, name: str
    ) -> None:
        self._issuer = issuer
        self._lists = lists
        self._proofs = proofs
        self._metadata = issuer_metadata(endpoint, name, issuer.rules)
        self._server_metadata = authorization_server_metadata(endpoint, issuer.rules)

    async def metadata(self, _: Request) -> Response:
        """`GET /.well-known/openid-credential-issuer`."""
        return json_response(self._metadata)

    async def server_metadata(self, _: Request) -> Response:
        """`GET /.well-known/oauth-authorization-server/oid4vci`."""
        return json_response(self._server_metadata)

    async def offer(self, request: Request) -> Response:
        """`GET /oid4vci/offers/{id}`: a credential offer, by its reference.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        return json_response(await self._issuer.offer_document(request.path_params["id"]), headers=NO_STORE)

    async def token(self, request: Request) -> Response:
        """`POST /oid4vci/token`; a DPoP proof binds the token to its key (RFC 9449)."""
        try:
            # First, so that a wallet that is told a nonce may send its attestation again.
            proof = self._proof(request, needs_nonce=True)
            form = self._authenticated(request, await _form(request))
            tokens = await self._issuer.token(form, "" if proof is None else proof.thumbprint)
            if proof is not None:
                self._proofs.use(proof)
        except (IssuingRefused, OAuthRefused) as error:
            return self._refusal(request, error)
        return json_response(tokens, headers={**NO_STORE, **self._nonce_header(request)})

    async def push(self, request: Request) -> Response:
        """`POST /oid4vci/par`: what a wallet asks a person to approve.

        A DPoP proof says to which key the code is to be bound. It is not used up: anybody may push a request.
        """
        try:
            proof = self._proof(request)
            form = self._authenticated(request, await _form(request))
            pushed = await self._issuer.push(form, "" if proof is None else proof.thumbprint)
        except (IssuingRefused, OAuthRefused) as error:
            return self._refusal(request, error)
        return Response(msgspec.json.encode(pushed), 201, dict(NO_STORE), JSON)

    async def nonce(self, request: Request) -> Response:
        """`POST /oid4vci/nonce`."""
        del request
        return json_response({"c_nonce": self._issuer.nonce()}, headers=NO_STORE)

    async def credential(self, request: Request) -> Response:
        """`POST /oid4vci/credential`."""
        try:
            scheme, token = _access_token(request)
            proof = self._proof(request, token) if scheme == "dpop" else None
            thumbprint = "" if proof is None else proof.thumbprint
            await self._issuer.check_token(token, thumbprint)
            if proof is not None:
                self._proofs.use(proof)
            body = await json_body(request, REQUEST_SIZE_MAX_BYTES)
            credentials = await self._issuer.credentials(token, _request(body), thumbprint)
        except (IssuingRefused, OAuthRefused) as error:
            return self._refusal(request, error)
        return json_response(
            {"credentials": [{"credential": text} for text in credentials]}, headers=NO_STORE
        )

    async def status_list(self, request: Request) -> Response:
        """`GET /status-lists/{id}`: a signed status list.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        text = request.path_params["id"]
        if not (text.isascii() and text.isdigit() and len(text) <= LIST_NUMBER_MAX_DIGITS):
            raise Refused(Code.NOT_FOUND, "There is no such status list.")
        signed = await self._lists.signed(int(text))
        headers = {"Content-Type": signed.media_type, "Cache-Control": _PUBLIC_FOR}
        return Response(signed.body, headers=headers)

    def _authenticated(self, request: Request, form: Mapping[str, str]) -> Mapping[str, str]:
        """The form of a wallet, which is attested where that is demanded."""
        headers = request.headers
        return self._issuer.attestations.authenticated(
            form, headers.getlist(ATTESTATION), headers.getlist(ATTESTATION_POP)
        )

    def _proof(
        self, request: Request, access_token: str | None = None, *, needs_nonce: bool = False
    ) -> Proof | None:
        """The DPoP proof of a request; a token that is bound to a key needs one."""
        proofs = request.headers.getlist("dpop")
        if len(proofs) > 1:
            raise OAuthRefused("invalid_dpop_proof", "A request has one DPoP proof.")
        if not proofs:
            if access_token is None:
                return None
            raise OAuthRefused("invalid_dpop_proof", "This token needs a DPoP proof.")
        path = request.scope["path"]
        return self._proofs.checked(proofs[0], "POST", path, access_token, needs_nonce=needs_nonce)

    def _nonce_header(self, request: Request) -> dict[str, str]:
        return {"DPoP-Nonce": self._proofs.nonce()} if "dpop" in request.headers else {}

    def _refusal(self, request: Request, error: IssuingRefused | OAuthRefused) -> Response:
        """An error response (RFC 6749, section 5.2; OpenID4VCI 1.0, section 8.3.1; RFC 9449, section 7.1)."""
        headers = {**NO_STORE, **self._nonce_header(request)}
        is_resource = "authorization" in request.headers
        status = 401 if error.error == "invalid_token" or (is_resource and error.error in _OF_PROOFS) else 400
        if status == 401:
            scheme = "DPoP" if "dpop" in request.headers else "Bearer"
            headers["WWW-Authenticate"] = f'{scheme} error="{error.error}"'
        body = msgspec.json.encode({"error": error.error, "error_description": error.message})
        return Response(body, status, headers, JSON)


async def _form(request: Request) -> Mapping[str, str]:
    """The fields of a form, of which none is there twice (RFC 6749, section 3.2)."""
    raw = await typed_body(request, FORM, FORM_SIZE_MAX_BYTES)
    try:
        return unique_fields(raw, FORM_FIELDS_MAX)
    except Refused as error:
        raise IssuingRefused("invalid_request", f"The form {error.message}.") from error


def _request(body: bytes) -> Mapping[str, Any]:
    try:
        return read_object(body, _LIMITS)
    except Refused as error:
        raise IssuingRefused("invalid_credential_request", "The request cannot be read.") from error


def _access_token(request: Request) -> tuple[str, str]:
    """Scheme and access token, from their header alone (RFC 6750, section 2.1; RFC 9449, section 7.1)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "dpop"} or not token:
        raise IssuingRefused("invalid_token", "This needs the access token of an offer.")
    return scheme.lower(), token
