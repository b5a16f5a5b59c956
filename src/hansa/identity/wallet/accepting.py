"""Accepting an offer of credentials (OpenID4VCI 1.0): a code, and a key for each credential.

    offer       by value or by reference; where it came from does not matter, since it proves nothing
    metadata    of the issuer that the offer names: where the token, nonces and credentials are
    token       for the pre-authorized code and the transaction code; or for a code that the browser brings
                back, after somebody approved the request that was pushed (PAR, PKCE, `iss`)
    credential  for a new key, proved for this issuer with its nonce

All endpoints are at the origin of the issuer: an offer cannot have codes sent elsewhere. What comes back is
read before it is put into the wallet: a credential that is not bound to the key that was proved is refused.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Refused
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.formats.document import CREDENTIAL_SIZE_MAX_BYTES, CredentialDocument
from hansa.identity.credentials.signing_keys import PlainKey, did_key, public_jwk, signed_jwt
from hansa.identity.credentials.verifier import CredentialFormat
from hansa.identity.foreign_jws import key_of_jwk
from hansa.identity.wallet.folder import HeldCredential, WalletFolder
from hansa.identity.wallet.protocol import (
    get_json,
    good_object,
    json_object,
    link_parameters,
    origin_of,
    post_form,
    post_json,
    refused,
)

PRE_AUTHORIZED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_ID: Final = "hansa-development-wallet"
REQUEST_URI_MAX_CHARS: Final = 1024
PROOF_TYPE: Final = "openid4vci-proof+jwt"
CONFIGURATIONS_MAX: Final = 8
_FORMATS: Final[dict[str, CredentialFormat]] = {"dc+sd-jwt": "dc+sd-jwt", "jwt_vc_json": "jwt_vc_json"}


class CredentialOffer(msgspec.Struct, frozen=True):
    """An offer, read."""

    issuer: str
    configurations: tuple[str, ...]
    code: str
    """Pre-authorized; empty: there is none."""
    needs_tx_code: bool
    issuer_state: str = ""
    """Of the authorization code grant; empty: the issuer does not offer that."""


class PendingApproval(msgspec.Struct, frozen=True):
    """A request that was pushed, and waits for somebody who approves it."""

    offer: CredentialOffer
    address: str
    """To be opened in a browser."""
    server: str
    """Identifier of the authorization server."""
    redirect_uri: str
    state: str
    verifier: str


class _Endpoints(msgspec.Struct, frozen=True):
    token: str
    nonce: str
    """Empty: the issuer has none."""
    credential: str
    formats: dict[str, CredentialFormat]
    """Of the configurations that this wallet can hold."""
    server: str = ""
    """Identifier of the authorization server."""
    authorize: str = ""
    push: str = ""
    """Empty: the server has none."""


async def read_offer(link: str, http: HttpClient) -> CredentialOffer:
    """The offer that a link leads to.

    Raises:
        Refused: `Code.INVALID`, or of the client.
        Unavailable: When the issuer cannot be reached.
    """
    parameters = link_parameters(link)
    if ("credential_offer" in parameters) == ("credential_offer_uri" in parameters):
        raise refused("This is no link to an offer of credentials.")
    if "credential_offer" in parameters:
        offer = json_object(parameters["credential_offer"].encode(), "The offer")
    else:
        offer = await get_json(http, parameters["credential_offer_uri"], "The offer")
    issuer, ids, grants = (
        offer.get(name) for name in ("credential_issuer", "credential_configuration_ids", "grants")
    )
    origin_of(issuer)
    grants = grants if isinstance(grants, dict) else {}
    grant, approved = (
        one if isinstance(one, dict) else {} for one in map(grants.get, (PRE_AUTHORIZED, AUTHORIZATION_CODE))
    )
    code, issuer_state = grant.get("pre-authorized_code", ""), approved.get("issuer_state", "")
    is_text = isinstance(code, str) and isinstance(issuer_state, str) and isinstance(issuer, str)
    if not is_text or not (code or issuer_state):
        raise refused("The offer has neither a pre-authorized code nor a state of the issuer.")
    if not isinstance(ids, list) or not 1 <= len(ids) <= CONFIGURATIONS_MAX:
        raise refused(f"The offer does not name 1 to {CONFIGURATIONS_MAX} credentials.")
    if not all(isinstance(one, str) for one in ids):
        raise refused("The offer names its credentials in another way than by texts.")
    return CredentialOffer(str(issuer), tuple(ids), str(code), "tx_code" in grant, str(issuer_state))


class OfferAcceptance:
    """Accepts offers into a wallet.

    Args:
        folder: Of the wallet.
        http: Reaches issuers.
        clock: For all times.
        entropy: For names.
    """

    def __init__(self, folder: WalletFolder, http: HttpClient, clock: Clock, entropy: Entropy) -> None:
        self._folder = folder
        self._http = http
        self._clock = clock
        self._entropy = entropy

    async def accept(self, offer: CredentialOffer, tx_code: str) -> list[HeldCredential]:
        """Have all credentials of an offer that this wallet can hold, and put them into the wallet.

        Raises:
            Refused: `Code.INVALID`, saying what of the issuer's answers is wrong; or of the client.
            Unavailable: When the issuer cannot be reached.
        """
        if not offer.code:
            raise refused("The offer has no pre-authorized code: have somebody approve it in a browser.")
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": offer.code}
        if offer.needs_tx_code:
            form["tx_code"] = tx_code
        return await self._accepted(offer, await self._endpoints(offer.issuer), form)

    async def begin(self, offer: CredentialOffer, redirect_uri: str) -> PendingApproval:
        """Push a request for an offer, which somebody approves in a browser.

        Args:
            offer: With a state of the issuer.
            redirect_uri: Where the browser brings the code.

        Raises:
            Refused: `Code.INVALID`, saying what of the issuer's answers is wrong; or of the client.
            Unavailable: When the issuer cannot be reached.
        """
        endpoints = await self._endpoints(offer.issuer)
        if not offer.issuer_state or not endpoints.push or not endpoints.authorize:
            raise refused("The issuer has nobody approve offers in a browser.")
        verifier, state = (to_base64url(self._entropy(32)) for _ in range(2))
        form = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": redirect_uri,
            "state": state,
            "issuer_state": offer.issuer_state,
            "code_challenge": to_base64url(hashlib.sha256(verifier.encode("ascii")).digest()),
            "code_challenge_method": "S256",
        }
        response = await post_form(self._http, endpoints.push, form)
        answer = json_object(response.body, "The request") if response.status == HTTPStatus.CREATED else {}
        request_uri = answer.get("request_uri")
        if not isinstance(request_uri, str) or not 0 < len(request_uri) <= REQUEST_URI_MAX_CHARS:
            raise refused("The issuer does not take the request.")
        query = urlencode({"client_id": CLIENT_ID, "request_uri": request_uri})
        address = f"{endpoints.authorize}?{query}"
        return PendingApproval(offer, address, endpoints.server, redirect_uri, state, verifier)

    async def finish(self, pending: PendingApproval, address: str) -> list[HeldCredential]:
        """Have the credentials of an offer that somebody approved, and put them into the wallet.

        Args:
            pending: As it was begun.
            address: To which the browser was sent, with the code.

        Raises:
            Refused: `Code.INVALID`, also when the answer is one to another request, or of another issuer.
            Unavailable: When the issuer cannot be reached.
        """
        answer = link_parameters(address)
        if answer.get("state") != pending.state or answer.get("iss") != pending.server:
            raise refused("This is the answer to another request, or of another issuer.")
        if not answer.get("code"):
            raise refused("Nobody approved the request.")
        form = {
            "grant_type": AUTHORIZATION_CODE,
            "code": answer["code"],
            "client_id": CLIENT_ID,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        endpoints = await self._endpoints(pending.offer.issuer)
        return await self._accepted(pending.offer, endpoints, form)

    async def _accepted(
        self, offer: CredentialOffer, endpoints: _Endpoints, form: dict[str, str]
    ) -> list[HeldCredential]:
        names = [one for one in offer.configurations if one in endpoints.formats]
        if not names:
            raise refused("The offer is for credentials that this wallet cannot hold.")
        answer = good_object(await post_form(self._http, endpoints.token, form), "The code")
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise refused("The issuer gave no access token.")
        added = []
        for name in names:
            held = await self._credential(offer.issuer, endpoints, name, token)
            self._folder.add(held)
            added.append(held)
        return added

    async def _endpoints(self, issuer: str) -> _Endpoints:
        metadata = await get_json(
            self._http, _well_known(issuer, "openid-credential-issuer"), "The issuer's metadata"
        )
        if metadata.get("credential_issuer") != issuer:
            raise refused("The metadata are those of another issuer.")
        servers = metadata.get("authorization_servers", [issuer])
        server = str(servers[0] if isinstance(servers, list) and servers else issuer)
        _check_origin(server, issuer)
        place = _well_known(server, "oauth-authorization-server")
        document = await get_json(self._http, place, "The metadata of the authorization server")
        if document.get("issuer") != server:
            raise refused("The metadata are those of another authorization server.")
        token, credential = document.get("token_endpoint"), metadata.get("credential_endpoint")
        nonce = metadata.get("nonce_endpoint", "")
        authorize = document.get("authorization_endpoint", "")
        push = document.get("pushed_authorization_request_endpoint", "")
        for one in (token, credential, *(one for one in (nonce, authorize, push) if one)):
            _check_origin(one, issuer)
        return _Endpoints(
            *(str(token), str(nonce), str(credential), _formats(metadata)),
            *(server, str(authorize), str(push)),
        )

    async def _credential(self, issuer: str, endpoints: _Endpoints, name: str, token: str) -> HeldCredential:
        key, now_s = PlainKey.generate(), epoch_s(self._clock)
        nonce = None
        if endpoints.nonce:
            answer = good_object(await post_json(self._http, endpoints.nonce, None, {}), "The nonce")
            nonce = answer.get("c_nonce")
        claims = {"aud": issuer, "iat": now_s, "nonce": nonce}
        proof = await signed_jwt(key, {"typ": PROOF_TYPE, "jwk": public_jwk(key)}, claims)
        content = {"credential_configuration_id": name, "proofs": {"jwt": [proof]}}
        headers = {"authorization": f"Bearer {token}"}
        response = await post_json(self._http, endpoints.credential, content, headers)
        credentials = good_object(response, "The credential").get("credentials")
        first = credentials[0] if isinstance(credentials, list) and credentials else None
        text = first.get("credential") if isinstance(first, dict) else None
        if not isinstance(text, str) or len(text) > CREDENTIAL_SIZE_MAX_BYTES or not text.isascii():
            raise refused("The issuer gave no credential.")
        held = HeldCredential(
            self._entropy(8).hex(), endpoints.formats[name], text, key.private_jwk(), issuer, now_s
        )
        try:
            document = held.document()
        except Refused as error:
            raise refused("The issuer gave a credential that cannot be read.") from error
        if not _is_bound_to(document, key):
            raise refused("The issuer gave a credential that is bound to another key.")
        return held


def _well_known(identifier: str, name: str) -> str:
    """Where the metadata of an identifier are: the name stands before its path (RFC 8414, section 3.1)."""
    scheme, _, rest = identifier.rstrip("/").partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}/.well-known/{name}{slash}{path}"


def _is_bound_to(document: CredentialDocument, key: PlainKey) -> bool:
    holder = document.holder
    if holder.key is not None:
        return holder.key == key_of_jwk(public_jwk(key))
    return holder.did == did_key(key.public)


def _formats(metadata: dict[str, Any]) -> dict[str, CredentialFormat]:
    supported = metadata.get("credential_configurations_supported")
    entries = supported.items() if isinstance(supported, dict) else ()
    return {
        name: _FORMATS[one["format"]]
        for name, one in entries
        if isinstance(one, dict) and isinstance(one.get("format"), str) and one["format"] in _FORMATS
    }


def _check_origin(address: Any, issuer: str) -> None:
    if origin_of(address) != origin_of(issuer):
        raise refused("The issuer's metadata lead to another host.")
