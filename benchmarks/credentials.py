"""Verifying presentations: CPU time for one, each other than those before, with a cached status list.

Everything is verified: chain of certificates, registry of issuers, signatures of issuer and holder,
disclosures, status, replay. Presentations are made before the clock starts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from benchmarks.figures import quantile
from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.core.bounded_cbor import Tagged, write_cbor
from hansa.core.certificates import read_anchor
from hansa.core.clock import SystemClock, rfc3339
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.trust.issuers import CredentialGrant, TrustedIssuer
from hansa.identity.credentials import (
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    ListedIssuers,
    PresentationRequest,
    RecentPresentations,
    SessionTerms,
    StatusLists,
    format_of,
)
from hansa.identity.credentials.formats.device_response import device_authentication, session_transcript
from hansa.identity.credentials.formats.mdoc import MDOC_FORMAT

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ORGANIZATION: Final = "VATES-12345678"
ISSUER: Final = f"did:elsi:{ORGANIZATION}"
LIST: Final = "https://issuer.example/status/1"
SESSION: Final = SessionTerms("https://market.example/oid4vp/response/1", bytes(32))
REQUEST: Final = PresentationRequest("x509_hash:benchmark", "benchmark", SESSION)
DISCLOSED: Final = 12
TYPES: Final = ("LEARCredentialEmployee", "learcredential.employee.sd.1", "eu.europa.ec.eudi.lce.1")


class SealedIssuer(msgspec.Struct, frozen=True):
    """An issuer with a certificate of an authority of its own."""

    key: Key
    x5c: tuple[str, ...]
    anchor: bytes


class StatusPage:
    """The `HttpClient` that has the status list."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    async def send(self, _: HttpRequest) -> HttpResponse:
        """The list."""
        return HttpResponse(200, {}, self._text)


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwt(key: Key, claims: Any, **header: Any) -> str:
    """A signed JWT."""
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": algorithm, **header}, claims))
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return f"{text}.{b64(signature)}"


def sealed_issuer(key: Key, authority_key: Key) -> SealedIssuer:
    """An issuer whose seal an authority certified."""
    now = SystemClock().now()
    subjects = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")]),
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, ORGANIZATION),
                x509.NameAttribute(NameOID.COMMON_NAME, "Seal"),
            ]
        ),
    ]
    certificates = []
    for number, (subject, subject_key) in enumerate(zip(subjects, (authority_key, key), strict=True)):
        is_authority = number == 0
        usage = x509.KeyUsage(
            digital_signature=not is_authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=is_authority,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subjects[0])
            .public_key(subject_key.public_key())
            .serial_number(7 + number)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(usage, critical=True)
        )
        certificates.append(builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.DER))
    x5c = (base64.b64encode(certificates[1]).decode(),)
    return SealedIssuer(key, x5c, certificates[0])


def mandate(did: str) -> dict[str, Any]:
    """A mandate as credentials have it."""
    names = ("ProductOffering", "ProductSpecification", "Catalog", "Onboarding")
    return {
        "mandatee": {"id": did, "firstName": "Ana", "lastName": "Prueba", "email": "ana@goodair.example"},
        "mandator": {"organizationIdentifier": ORGANIZATION, "organization": "GoodAir", "country": "ES"},
        "power": [
            {"type": "domain", "domain": "DOME", "function": name, "action": ["Create", "Update"]}
            for name in names
        ],
    }


def sd_jwt_presentations(issuer: SealedIssuer, count: int, now_s: int) -> list[str]:
    """Presentations of SD-JWT VCs, each of another credential."""
    holder = ec.generate_private_key(ec.SECP256R1())
    numbers = holder.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32)),
        "y": b64(numbers.y.to_bytes(32)),
    }
    results = []
    for serial in range(count):
        disclosures = [
            b64(json.dumps([f"salt {serial} {n}", f"claim {n}", f"value {n}"]).encode())
            for n in range(DISCLOSED)
        ]
        claims = {
            "iss": ISSUER,
            "iat": now_s - 60,
            "exp": now_s + 3600,
            "vct": TYPES[1],
            "cnf": {"jwk": jwk},
            "status": {"status_list": {"idx": serial, "uri": LIST}},
            "mandate": mandate("did:key:none"),
            "_sd": [b64(hashlib.sha256(text.encode()).digest()) for text in disclosures],
        }
        text = "~".join([jwt(issuer.key, claims, typ="dc+sd-jwt", x5c=issuer.x5c), *disclosures, ""])
        binding = {"iat": now_s, "aud": REQUEST.audience, "nonce": REQUEST.nonce}
        hashed = b64(hashlib.sha256(text.encode()).digest())
        results.append(text + jwt(holder, {**binding, "sd_hash": hashed}, typ="kb+jwt"))
    return results


def jwt_presentations(issuer: SealedIssuer, count: int, now_s: int) -> list[str]:
    """Presentations of W3C credentials, each of another one."""
    holder = ec.generate_private_key(ec.SECP256R1())
    numbers = holder.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}
    did = f"did:jwk:{b64(json.dumps(jwk).encode())}"
    results = []
    for serial in range(count):
        credential = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "id": f"urn:uuid:{serial}",
            "type": ["VerifiableCredential", TYPES[0]],
            "issuer": {"id": ISSUER},
            "credentialSubject": {"id": did, "mandate": mandate(did)},
        }
        claims = {"iss": ISSUER, "sub": did, "iat": now_s - 60, "exp": now_s + 3600, "vc": credential}
        content = {
            "type": ["VerifiablePresentation"],
            "verifiableCredential": [jwt(issuer.key, claims, typ="JWT", x5c=issuer.x5c)],
        }
        presentation = {
            "iss": did,
            "aud": REQUEST.audience,
            "nonce": REQUEST.nonce,
            "iat": now_s,
            "vp": content,
        }
        results.append(jwt(holder, presentation, typ="JWT", kid=f"{did}#0"))
    return results


def sign1(key: Key, payload: bytes, *, is_detached: bool, certificate: bytes | None = None) -> list[Any]:
    """A COSE_Sign1 by ES256."""
    assert isinstance(key, ec.EllipticCurvePrivateKey), "mdocs are signed by ECDSA or EdDSA"
    header = write_cbor({1: -7})
    signed = write_cbor(["Signature1", header, b"", payload])
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    open_header = {} if certificate is None else {33: certificate}
    return [header, open_header, None if is_detached else payload, r.to_bytes(32) + s.to_bytes(32)]


def mdoc_presentations(issuer: SealedIssuer, count: int, now_s: int) -> list[str]:
    """Presentations of mdocs, each of another one and by another device."""
    doctype = TYPES[2]
    begin, end = (
        Tagged(0, rfc3339(datetime.fromtimestamp(second, UTC).replace(microsecond=0)))
        for second in (now_s - 60, now_s + 3600)
    )
    results = []
    for serial in range(count):
        holder = ec.generate_private_key(ec.SECP256R1())
        numbers = holder.public_key().public_numbers()
        values = [("mandate", mandate("did:key:none"))]
        values += [(f"claim {n}", {"value": f"value {serial} {n}"}) for n in range(DISCLOSED)]
        items = [
            write_cbor(
                {
                    "digestID": number,
                    "random": bytes(32),
                    "elementIdentifier": name,
                    "elementValue": value,
                }
            )
            for number, (name, value) in enumerate(values)
        ]
        tagged = [Tagged(24, one) for one in items]
        digests = {n: hashlib.sha256(write_cbor(one)).digest() for n, one in enumerate(tagged)}
        coordinates = {-2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        content = {
            "version": "1.0",
            "digestAlgorithm": "SHA-256",
            "valueDigests": {doctype: digests},
            "deviceKeyInfo": {"deviceKey": {1: 2, -1: 1, **coordinates}},
            "docType": doctype,
            "validityInfo": {"signed": begin, "validFrom": begin, "validUntil": end},
            "status": {"status_list": {"idx": serial, "uri": LIST}},
        }
        sealed = write_cbor(Tagged(24, write_cbor(content)))
        certificate = base64.b64decode(issuer.x5c[0])
        auth = sign1(issuer.key, sealed, is_detached=False, certificate=certificate)
        transcript = session_transcript(REQUEST.audience, str(REQUEST.nonce), SESSION)
        signed = device_authentication(doctype, write_cbor({}), transcript)
        document = {
            "docType": doctype,
            "issuerSigned": {"nameSpaces": {doctype: tagged}, "issuerAuth": auth},
            "deviceSigned": {
                "nameSpaces": Tagged(24, write_cbor({})),
                "deviceAuth": {"deviceSignature": sign1(holder, signed, is_detached=True)},
            },
        }
        results.append(b64(write_cbor({"version": "1.0", "documents": [document], "status": 0})))
    return results


def verifier_of(issuer: SealedIssuer, now_s: int) -> CredentialVerifier:
    """A verifier that trusts an issuer."""
    content = {
        "sub": LIST,
        "iss": ISSUER,
        "iat": now_s - 60,
        "exp": now_s + 3600,
        "status_list": {"bits": 1, "lst": b64(zlib.compress(bytes(131_072)))},
    }
    http = StatusPage(jwt(issuer.key, content, typ="statuslist+jwt", x5c=issuer.x5c))
    dids = DidKeys(http)
    grants = tuple(CredentialGrant(0, name, 2**32) for name in TYPES)
    registry = ListedIssuers([TrustedIssuer(grants, ISSUER)])
    trust = IssuerTrust([read_anchor(issuer.anchor)], registry, dids)
    return CredentialVerifier(trust, dids, StatusLists(http, trust), RecentPresentations(), SystemClock())


async def measured(name: str, issuer: SealedIssuer, presentations: list[str], now_s: int) -> Row:
    """CPU time of each presentation; the first ones warm up."""
    verifier = verifier_of(issuer, now_s)
    form, _ = format_of(presentations[0])
    times: list[float] = []
    for text in presentations:
        begin = time.process_time()
        await verifier.presentation(text, form, REQUEST)
        times.append(time.process_time() - begin)
    times = times[len(times) // 10 :]
    size = sum(map(len, presentations)) / len(presentations)
    figures = (
        Figure("CPU p50", quantile(times, 0.5), "seconds"),
        Figure("p99", quantile(times, 0.99), "seconds"),
    )
    return Row(name, (*figures, Figure("size", size, "bytes")))


async def measure(plan: Plan, _: Path) -> list[Table]:
    """The table of credentials."""
    now_s = int(SystemClock().now().timestamp())
    keys: dict[str, tuple[Key, Key]] = {
        "P-256": (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())),
        "RSA 2,048 under RSA 4,096": (
            rsa.generate_private_key(65537, 2048),
            rsa.generate_private_key(65537, 4096),
        ),
    }
    makers = {
        "dc+sd-jwt": sd_jwt_presentations,
        "jwt_vc_json": jwt_presentations,
        MDOC_FORMAT: mdoc_presentations,
    }
    rows = []
    for name, (key, authority_key) in keys.items():
        issuer = sealed_issuer(key, authority_key)
        for form, make in makers.items():
            if form == MDOC_FORMAT and isinstance(key, rsa.RSAPrivateKey):
                continue  # no algorithm of mdocs is RSA
            presentations = make(issuer, plan.presentations, now_s)
            rows.append(await measured(f"{form}, seal {name}", issuer, presentations, now_s))
    return [Table("Verifying presentations", tuple(rows))]
