"""Issuers, holders, credentials, presentations and status lists for tests, signed by `cryptography`."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import based58
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hansa.core.certificates import read_anchor
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.trust.issuers import AllowedClaim, CredentialGrant, TrustedIssuer
from hansa.identity.credentials import (
    CredentialRefused,
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    ListedIssuers,
    PresentationRequest,
    RecentPresentations,
    StatusLists,
    VerifiedCredential,
)
from tests.support.certificates import NOW, ORGANIZATION, Issued, Usages, authority, new_key
from tests.support.certificates import seal as plain_seal

NOW_S: Final = int(NOW.timestamp())
DAY_S: Final = 86_400
ISSUER: Final = f"did:elsi:{ORGANIZATION}"
AUDIENCE: Final = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
NONCE: Final = "n-0S6_WzA2Mj"
REQUEST: Final = PresentationRequest(AUDIENCE, NONCE)
EMPLOYEE: Final = "LEARCredentialEmployee"
LIST_URI: Final = "https://issuer.example/status/1"

SIGNING: Final = Usages(digital_signature=True, content_commitment=True)


def seal(
    issuer: Issued | None,
    organization: str | None = ORGANIZATION,
    *,
    usages: Usages = SIGNING,
    **options: Any,
) -> Issued:
    """A certificate of an issuer."""
    return plain_seal(issuer, organization, usages=usages, **options)


ROOT: Final = authority()
SEAL: Final = seal(ROOT)
HOLDER: Final = new_key()
THIEF: Final = new_key()


def b64(raw: bytes | str) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).rstrip(b"=").decode()


def encoded(value: Any) -> str:
    """JSON in base64url."""
    return b64(json.dumps(value))


def decoded(part: str) -> Any:
    """The JSON in a part of a JWT."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def algorithm_of(key: Any) -> str:
    """The usual algorithm of a key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, rsa.RSAPrivateKey):
        return "RS256"
    return "ES256" if key.key_size == 256 else "ES384"


def signature(key: Any, algorithm: str, signed: bytes) -> bytes:
    """A JWS signature."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    hash_algorithm = {"384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[2:], hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hash_algorithm)))
        size = (key.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)
    pss = padding.PSS(padding.MGF1(hash_algorithm), hash_algorithm.digest_size)
    raw: bytes = key.sign(signed, padding.PKCS1v15() if algorithm[0] == "R" else pss, hash_algorithm)
    return raw


def jwt(key: Any, claims: Any, **header: Any) -> str:
    """A JWT; a header parameter of None is left out."""
    fields = {"alg": algorithm_of(key), "typ": "JWT"} | header
    fields = {name: value for name, value in fields.items() if value is not None}
    return signed_jwt(key, encoded(fields), encoded(claims), str(fields.get("alg", "ES256")))


def signed_jwt(key: Any, header: str, payload: str, algorithm: str = "ES256") -> str:
    """A JWT of encoded parts."""
    text = f"{header}.{payload}"
    known = (
        algorithm if algorithm[:2] == algorithm_of(key)[:2] or algorithm[:2] == "PS" else algorithm_of(key)
    )
    return f"{text}.{b64(signature(key, known, text.encode()))}"


def x5c(*chain: Issued) -> list[str]:
    """Certificates as a header has them."""
    return [base64.b64encode(one.der).decode() for one in chain]


def jwk(key: Any) -> dict[str, str]:
    """The public JWK of a private key."""
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)), "e": "AQAB"}
    raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    half = len(raw) // 2
    curve = "P-256" if half == 32 else "P-384"
    return {"kty": "EC", "crv": curve, "x": b64(raw[:half]), "y": b64(raw[half:])}


def did_key(key: Any) -> str:
    """The did:key of a private key."""
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = b"\xed\x01" + public.public_bytes_raw()
    else:
        prefix = b"\x80\x24" if key.key_size == 256 else b"\x81\x24"
        raw = prefix + public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return "did:key:z" + based58.b58encode(raw).decode()


def did_jwk(key: Any) -> str:
    """The did:jwk of a private key."""
    return f"did:jwk:{encoded(jwk(key))}"


def power(function: str = "ProductOffering", *actions: str, domain: str = "DOME") -> dict[str, Any]:
    """A power as newer credentials have it."""
    return {"type": "domain", "domain": domain, "function": function, "action": list(actions or ("Create",))}


def mandate(holder: Any = HOLDER, organization: str = ORGANIZATION, **changes: Any) -> dict[str, Any]:
    """A mandate of an employee, as version 2 has it."""
    return {
        "mandatee": {
            "id": did_key(holder),
            "email": "ana@goodair.example",
            "firstName": "Ana",
            "lastName": "Prueba",
        },
        "mandator": {
            "id": f"did:elsi:{organization}",
            "organizationIdentifier": organization,
            "organization": "GoodAir",
            "country": "ES",
        },
        "power": [power()],
    } | changes


def lear(holder: Any = HOLDER, **changes: Any) -> dict[str, Any]:
    """The claims of a LEARCredentialEmployee, as a JWT has them."""
    credential = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:2e0f1c1e-0b1a-4d6b-9b6c-7f1f5a8c0a11",
        "type": ["VerifiableCredential", EMPLOYEE],
        "issuer": {"id": ISSUER, "organizationIdentifier": ORGANIZATION},
        "credentialSubject": {"id": did_key(holder), "mandate": mandate(holder)},
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2027-01-01T00:00:00.123456789Z",
    } | changes
    return {
        "iss": ISSUER,
        "sub": did_key(holder),
        "iat": NOW_S - DAY_S,
        "nbf": NOW_S - DAY_S,
        "exp": NOW_S + DAY_S,
        "vc": {name: value for name, value in credential.items() if value is not None},
    }


def jwt_vc(claims: Mapping[str, Any] | None = None, issuer: Issued = SEAL, **header: Any) -> str:
    """A credential as a JWT, sealed with the certificate of its issuer."""
    return jwt(issuer.key, claims or lear(), **{"x5c": x5c(issuer)} | header)


def jwt_vp(
    credential: str, holder: Any = HOLDER, changes: Mapping[str, Any] | None = None, **header: Any
) -> str:
    """A presentation of a credential; a claim of None is left out."""
    did = did_key(holder)
    claims = {
        "iss": did,
        "aud": AUDIENCE,
        "nonce": NONCE,
        "iat": NOW_S,
        "exp": NOW_S + 60,
        "vp": {"type": ["VerifiablePresentation"], "holder": did, "verifiableCredential": [credential]},
    } | dict(changes or {})
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt(holder, claims, **{"kid": f"{did}#{did.removeprefix('did:key:')}"} | header)


def disclosure(*parts: Any) -> str:
    """A disclosure: a name and a value, or a value alone, behind a salt."""
    return encoded(["2GLC42sKQveCfGfryNRN9w", *parts])


def digest(text: str, algorithm: str = "sha256") -> str:
    """The digest of a disclosure."""
    return b64(hashlib.new(algorithm, text.encode()).digest())


def sd_claims(holder: Any = HOLDER, **changes: Any) -> dict[str, Any]:
    """The claims of an SD-JWT VC with a mandate; a claim of None is left out."""
    claims = {
        "iss": ISSUER,
        "iat": NOW_S - DAY_S,
        "exp": NOW_S + DAY_S,
        "vct": "learcredential.employee.sd.1",
        "cnf": {"jwk": jwk(holder)},
        "mandate": mandate(holder),
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def sd_jwt(
    claims: Mapping[str, Any] | None = None,
    disclosures: Sequence[str] = (),
    issuer: Issued = SEAL,
    **header: Any,
) -> str:
    """An SD-JWT VC, as it is issued."""
    first = jwt(issuer.key, claims or sd_claims(), **{"typ": "dc+sd-jwt", "x5c": x5c(issuer)} | header)
    return "~".join([first, *disclosures, ""])


def bound(text: str, holder: Any = HOLDER, changes: Mapping[str, Any] | None = None, **header: Any) -> str:
    """A presentation of an SD-JWT VC; a claim of None is left out."""
    claims = {"iat": NOW_S, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest(text)} | dict(changes or {})
    claims = {name: value for name, value in claims.items() if value is not None}
    return text + jwt(holder, claims, **{"typ": "kb+jwt"} | header)


def token_list(
    values: Mapping[int, int] | None = None,
    issuer: Issued = SEAL,
    changes: Mapping[str, Any] | None = None,
    bits: int = 1,
    **header: Any,
) -> str:
    """A Status List Token of 1,024 entries; a claim of None is left out."""
    content = bytearray(1024 * bits // 8)
    for index, value in (values or {}).items():
        content[index * bits // 8] |= value << index * bits % 8
    claims = {
        "sub": LIST_URI,
        "iss": ISSUER,
        "iat": NOW_S - 60,
        "exp": NOW_S + DAY_S,
        "status_list": {"bits": bits, "lst": b64(zlib.compress(bytes(content)))},
    } | dict(changes or {})
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt(issuer.key, claims, **{"typ": "statuslist+jwt", "x5c": x5c(issuer)} | header)


def bitstring_list(
    indices: Sequence[int] = (), issuer: Issued = SEAL, purpose: str = "revocation", **changes: Any
) -> str:
    """A Bitstring Status List credential."""
    content = bytearray(16_384)
    for index in indices:
        content[index // 8] |= 0x80 >> index % 8
    subject = {
        "id": f"{LIST_URI}#list",
        "type": "BitstringStatusList",
        "statusPurpose": purpose,
        "encodedList": "u" + b64(gzip.compress(bytes(content))),
    } | changes
    claims = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": LIST_URI,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": ISSUER,
        "validFrom": "2026-11-30T00:00:00Z",
        "validUntil": "2026-12-01T00:00:00Z",
        "credentialSubject": subject,
    }
    return jwt(issuer.key, claims, typ="vc+jwt", x5c=x5c(issuer))


def status(index: int = 7, uri: str = LIST_URI) -> dict[str, Any]:
    """The `status` of a credential with a Token Status List."""
    return {"status_list": {"idx": index, "uri": uri}}


def bitstring_status(index: Any = "7", purpose: str = "revocation", **changes: Any) -> dict[str, Any]:
    """The `credentialStatus` of a credential with a Bitstring Status List."""
    return {
        "id": f"{LIST_URI}#7",
        "type": "BitstringStatusListEntry",
        "statusPurpose": purpose,
        "statusListIndex": index,
        "statusListCredential": LIST_URI,
    } | changes


class Web:
    """The `HttpClient` of tests: what is at which address."""

    def __init__(self, pages: Mapping[str, str | bytes] | None = None) -> None:
        self.pages = dict(pages or {})
        self.requests: list[str] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request.url)
        if request.url.startswith("https://10."):
            raise Refused(Code.HOST_NOT_ALLOWED, "A request to this address is not allowed.")
        if request.url not in self.pages:
            raise Unavailable(Code.RETRIEVAL_UNREACHABLE, "The other side cannot be reached.")
        page = self.pages[request.url]
        return HttpResponse(200, {}, page if isinstance(page, bytes) else page.encode())


def grant(
    *types: str, claims: Sequence[AllowedClaim] = (), begin_s: int = 0, end_s: int = 2**32
) -> TrustedIssuer:
    """The issuer of tests in a registry."""
    grants = tuple(CredentialGrant(begin_s, one, end_s, tuple(claims)) for one in types)
    return TrustedIssuer(grants, ISSUER)


def mandating(did: str) -> TrustedIssuer:
    """An issuer that may give mandates of employees in the name of anybody."""
    anybody = AllowedClaim("mandator", "$.mandate.mandator.organizationIdentifier")
    return TrustedIssuer((CredentialGrant(0, EMPLOYEE, 2**32, (anybody,)),), did)


class Verifying:
    """A verifier, with what it depends on."""

    def __init__(
        self,
        *issuers: TrustedIssuer,
        anchors: Sequence[Issued] = (ROOT,),
        anchored_types: Sequence[str] = (),
        pages: Mapping[str, str | bytes] | None = None,
        presentations_max: int = 1000,
        offset_s: int = 0,
    ) -> None:
        self.web = Web(pages)
        self.clock = ManualClock(NOW + timedelta(seconds=offset_s))
        registry = ListedIssuers(issuers) if issuers else None
        dids = DidKeys(self.web)
        self.trust = IssuerTrust([read_anchor(one.der) for one in anchors], registry, dids, anchored_types)
        self.status = StatusLists(self.web, self.trust)
        memory = RecentPresentations(presentations_max)
        self.verifier = CredentialVerifier(self.trust, dids, self.status, memory, self.clock)

    async def credential(self, text: str) -> VerifiedCredential:
        return await self.verifier.credential(text, "dc+sd-jwt" if "~" in text else "jwt_vc_json")

    async def presentation(self, text: str, request: PresentationRequest = REQUEST) -> VerifiedCredential:
        return await self.verifier.presentation(text, "dc+sd-jwt" if "~" in text else "jwt_vc_json", request)

    async def refusal(self, text: str, *, is_presented: bool = False) -> CredentialRefused:
        """Why something is refused."""
        try:
            await (self.presentation(text) if is_presented else self.credential(text))
        except CredentialRefused as error:
            return error
        raise AssertionError("it was accepted")

    async def code(self, text: str, *, is_presented: bool = False) -> Code:
        """The code with which something is refused."""
        return (await self.refusal(text, is_presented=is_presented)).code
