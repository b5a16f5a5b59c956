"""A wallet for tests, and a verifier for it: answers are made by libraries that are not ours."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwe
from joserfc.jwk import ECKey

from hansa.core.errors import Code, HansaError
from hansa.core.limits import Limits
from hansa.core.policies import ClientIdPrefix
from hansa.identity.presentations import (
    BegunLogin,
    LoginOptions,
    PresentationQuery,
    VerifierIdentity,
    WalletLogins,
    read_accepted_type,
    read_identity,
)
from hansa.identity.principal import IdentityRules, Principal, RoleRules, principal_of
from tests.support.certificates import NOW, YEAR, Issued, Usages, authority, issue, name, new_key
from tests.support.credentials import HOLDER, Verifying, bound, decoded, jwt_vc, jwt_vp, sd_jwt

ENDPOINT: Final = "https://market.example"
ACCEPTED: Final = (
    "dc+sd-jwt:eu.europa.ec.eudi.lce.1",
    "dc+sd-jwt:learcredential.employee.sd.1",
    "jwt_vc_json:LEARCredentialEmployee",
)
SUBJECT_KEY: Final = b"k" * 32
ACCESS_ROOT: Final = authority("Access CA")


def access_certificate(issuer: Issued | None = ACCESS_ROOT, host: str = "market.example") -> Issued:
    """An access certificate of a verifier."""
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    extensions = [(Usages(digital_signature=True).extension(), True), (names, False)]
    return issue(name("Market"), new_key(), issuer, extensions=extensions, end=NOW + YEAR)


ACCESS: Final = access_certificate()


def key_pem(key: Any) -> bytes:
    """A private key in PEM."""
    raw: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return raw


def chain_pem(*chain: Issued) -> bytes:
    """Certificates in PEM."""
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in chain)


def identity_of(prefix: ClientIdPrefix = "x509_hash", *chain: Issued) -> VerifierIdentity:
    """The identity of a verifier."""
    chain = chain or (ACCESS, ACCESS_ROOT)
    return read_identity(key_pem(chain[0].key), chain_pem(*chain), prefix, "market.example")


class Scene:
    """A verifier with logins, and what a wallet and a browser do with it."""

    def __init__(
        self,
        verifying: Verifying | None = None,
        identity: VerifierIdentity | None = None,
        accepted: Sequence[str] = ACCEPTED,
        limits: Limits | None = None,
        identities: Sequence[str] = (),
        **options: Any,
    ) -> None:
        documents = tuple(map(read_accepted_type, identities))
        rules = IdentityRules(frozenset((one.format, one.type) for one in documents), SUBJECT_KEY)
        self.verifying = verifying or Verifying()
        self.identity = identity or identity_of()
        self.logins = WalletLogins(
            self.identity,
            PresentationQuery(map(read_accepted_type, accepted), identities=documents),
            self.verifying.verifier,
            lambda credential: principal_of(credential, RoleRules(), rules),
            LoginOptions(**{"endpoint": ENDPOINT, **options}),
            *(self.verifying.clock, os.urandom, limits or Limits()),
        )

    def begin(self, return_to: str = "/", address: str = "192.0.2.1") -> BegunLogin:
        """A login in some browser."""
        return self.logins.begin(address, return_to)

    def request(self, name: str, wallet_nonce: str | None = None) -> dict[str, Any]:
        """The claims of a request, as a wallet reads them."""
        return request_claims(self.logins.request_object(name, wallet_nonce))

    async def answer(self, name: str, text: Any = None, **options: Any) -> str:
        """Fetch a request and answer it; where the wallet sends the person."""
        request = self.request(name)
        return await self.logins.respond(name, answer_form(request, text or presented(request), **options))

    async def refused(self, name: str, text: Any = None, **options: Any) -> Code:
        """The code with which an answer is refused."""
        try:
            await self.answer(name, text, **options)
        except HansaError as error:
            return error.code
        raise AssertionError("it was accepted")

    async def logged_in(self, **options: Any) -> Principal:
        """Who is logged in after a whole login on the same device."""
        begun = self.begin()
        code = response_code(await self.answer(begun.same_device, **options))
        return self.logins.return_from_wallet(begun.id, begun.secret, code).principal

    async def wait(self, seconds: float) -> None:
        """Let some time pass."""
        await self.verifying.clock.advance(seconds)


def request_claims(request: str) -> dict[str, Any]:
    """The claims of a request whose signature holds."""
    header, payload, signature = request.split(".")
    fields = decoded(header)
    assert fields["typ"] == "oauth-authz-req+jwt"
    if "x5c" in fields:
        certificate = x509.load_pem_x509_certificate(
            f"-----BEGIN CERTIFICATE-----\n{fields['x5c'][0]}\n-----END CERTIFICATE-----\n".encode()
        )
        public = certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        raw = decoded_bytes(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        public.verify(der, f"{header}.{payload}".encode(), ec.ECDSA(SHA256()))
    claims: dict[str, Any] = decoded(payload)
    return claims


def decoded_bytes(text: str) -> bytes:
    """Bytes in base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def presented(request: Mapping[str, Any], format_name: str = "sd_jwt", holder: Any = HOLDER) -> str:
    """A presentation of an employee's credential for a request."""
    bindings = {"aud": request["client_id"], "nonce": request["nonce"]}
    if format_name == "sd_jwt":
        return bound(sd_jwt(), holder, bindings)
    return jwt_vp(jwt_vc(), holder, bindings)


def encrypted(content: Any, jwk: Mapping[str, Any], enc: str = "A128GCM", **header: Any) -> str:
    """A JWE to the key of a request; a header parameter of None is left out."""
    fields = {"alg": "ECDH-ES", "enc": enc, "kid": jwk["kid"]} | header
    fields = {name: value for name, value in fields.items() if value is not None}
    registry = jwe.JWERegistry(
        algorithms=["ECDH-ES", "ECDH-ES+A128KW", "A128GCM", "A256GCM", "A128CBC-HS256", "DEF"],
        strict_check_header=False,
    )
    registry.max_ciphertext_length = 10_000_000
    plaintext = content if isinstance(content, bytes) else json.dumps(content).encode()
    key = ECKey.import_key({part: jwk[part] for part in ("kty", "crv", "x", "y")})
    return jwe.encrypt_compact(fields, plaintext, key, registry=registry)


def answer_form(
    request: Mapping[str, Any],
    text: Any,
    *,
    query: str = "",
    state: str | None = None,
    enc: str = "A128GCM",
    **header: Any,
) -> bytes:
    """The form that a wallet posts: `text` is the presentation, or a whole `vp_token`."""
    if isinstance(text, str):
        query = query or ("sd_jwt" if "~" in text else "jwt_vc")
        text = {query: [text]}
    content = {"vp_token": text, "state": request["state"] if state is None else state}
    if request["response_mode"] == "direct_post":
        return urlencode(content | {"vp_token": json.dumps(text)}).encode()
    (jwk,) = request["client_metadata"]["jwks"]["keys"]
    return urlencode({"response": encrypted(content, jwk, enc, **header)}).encode()


def response_code(redirect_uri: str) -> str:
    """The code in the address to which a wallet sends the person."""
    (code,) = parse_qs(urlsplit(redirect_uri).query)["response_code"]
    return code
