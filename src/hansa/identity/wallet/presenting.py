"""Answering a verifier's request: presentations, encrypted to its key, posted to where it takes them.

Every presentation is for one verifier (`aud`: its client identifier with the prefix) and one request
(`nonce`), and signed by the key of its credential. Who relays a request of another verifier gets nothing that
can be used elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Refused
from hansa.core.http import HttpClient
from hansa.identity.credentials.formats.disclosures import hash_of
from hansa.identity.credentials.formats.document import read_claims, read_jws
from hansa.identity.credentials.formats.sd_jwt import SD_JWT_FORMAT
from hansa.identity.credentials.signing_keys import did_key, signed_jwt
from hansa.identity.foreign_jws import key_of_jwk
from hansa.identity.wallet.dcql import MatchingCredential
from hansa.identity.wallet.protocol import good_object, origin_of, post_form, refused
from hansa.identity.wallet.requests import VerifierRequest

PRESENTATION_LIFE_S: Final = 300
ENCRYPTIONS: Final = ("A256GCM", "A128GCM")
_KEYS_MAX: Final = 16


class _Registry(jwe.JWERegistry):
    """Of joserfc: what it makes at most."""

    max_protected_header_length = 4096


_REGISTRY: Final = _Registry(algorithms=["ECDH-ES", *ENCRYPTIONS], strict_check_header=False)


async def presentation(match: MatchingCredential, request: VerifierRequest, now_s: int) -> str:
    """A presentation of a credential, for one request."""
    key, held = match.held.signing_key(), match.held
    if held.format == SD_JWT_FORMAT:
        issued = held.text.split("~", 1)[0]
        text = "~".join([issued, *match.disclosures, ""])
        digest = hash_of(read_claims(read_jws(issued).payload))(text)
        claims: dict[str, Any] = {
            "iat": now_s,
            "aud": request.client_id,
            "nonce": request.nonce,
            "sd_hash": digest,
        }
        return text + await signed_jwt(key, {"typ": "kb+jwt"}, claims)
    did = did_key(key.public)
    claims = {
        "iss": did,
        "aud": request.client_id,
        "nonce": request.nonce,
        "iat": now_s,
        "exp": now_s + PRESENTATION_LIFE_S,
        "vp": {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiablePresentation"],
            "holder": did,
            "verifiableCredential": [held.text],
        },
    }
    kid = f"{did}#{did.removeprefix('did:key:')}"
    return await signed_jwt(key, {"typ": "JWT", "kid": kid}, claims)


class RequestAnswers:
    """Answers requests that were verified.

    Args:
        http: Reaches verifiers.
        clock: For all times.
    """

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        self._http = http
        self._clock = clock

    async def present(self, request: VerifierRequest, matches: Sequence[MatchingCredential]) -> str:
        """Present credentials.

        Returns:
            Where the verifier sends the person; empty: nowhere.

        Raises:
            Refused: `Code.INVALID`, when the verifier's key cannot be used, or it does not take the answer.
            Unavailable: When it cannot be reached.
        """
        assert matches, "something is presented"
        now_s = epoch_s(self._clock)
        vp_token = {one.query_id: [await presentation(one, request, now_s)] for one in matches}
        if request.response_mode == "direct_post":
            form = {"vp_token": msgspec.json.encode(vp_token).decode()}
            form |= {} if request.state is None else {"state": request.state}
        else:
            content = {"vp_token": vp_token} | ({} if request.state is None else {"state": request.state})
            form = {"response": _encrypted(msgspec.json.encode(content), request)}
        return await self._post(request, form)

    async def decline(self, request: VerifierRequest) -> str:
        """Tell the verifier that the holder presents nothing. See `present`."""
        form = {"error": "access_denied"} | ({} if request.state is None else {"state": request.state})
        return await self._post(request, form)

    async def _post(self, request: VerifierRequest, form: dict[str, str]) -> str:
        response = await post_form(self._http, request.response_uri, form)
        answer = good_object(response, "The answer")
        redirect = answer.get("redirect_uri", "")
        if redirect == "":
            return ""
        origin_of(redirect)
        return str(redirect)


def _encrypted(content: bytes, request: VerifierRequest) -> str:
    """The JWE of an answer: ECDH-ES to the key of the request (HAIP 1.0, section 5)."""
    jwks = request.metadata.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    supported = request.metadata.get("encrypted_response_enc_values_supported", ["A128GCM"])
    encryption = next((one for one in ENCRYPTIONS if isinstance(supported, list) and one in supported), None)
    if not isinstance(keys, list) or len(keys) > _KEYS_MAX or encryption is None:
        raise refused("The request has no key to encrypt the answer to, or only unknown algorithms.")
    for jwk in keys:
        public = _agreement_key(jwk)
        if public is None:
            continue
        header = {"alg": "ECDH-ES", "enc": encryption, "apv": to_base64url(request.nonce.encode())}
        if isinstance(jwk.get("kid"), str):
            header["kid"] = jwk["kid"]
        try:
            return jwe.encrypt_compact(header, content, public, registry=_REGISTRY)
        except (JoseError, ValueError) as error:
            raise refused("The answer cannot be encrypted to the key of the request.") from error
    raise refused("The request has no key on P-256 to encrypt the answer to.")


def _agreement_key(jwk: Any) -> ECKey | None:
    """A key of a request, if the answer can be encrypted to it."""
    if not isinstance(jwk, dict) or jwk.get("alg", "ECDH-ES") != "ECDH-ES" or jwk.get("use", "enc") != "enc":
        return None
    members = {name: jwk.get(name) for name in ("kty", "crv", "x", "y")}
    if (members["kty"], members["crv"]) != ("EC", "P-256") or "d" in jwk:
        return None
    try:
        key_of_jwk(members)
    except Refused as error:
        raise refused("The request has a key that is no point of its curve.") from error
    return ECKey.import_key({name: str(value) for name, value in members.items()})
