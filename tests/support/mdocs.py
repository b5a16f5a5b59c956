"""Mdocs and presentations of them for tests, written by cbor2, an implementation of CBOR that is not ours."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import cbor2
from cryptography import x509

from hansa.core.base64url import from_base64url
from hansa.identity.credentials import PresentationRequest, SessionTerms
from tests.support.certificates import Issued
from tests.support.credentials import (
    AUDIENCE,
    DAY_S,
    HOLDER,
    LIST_URI,
    NONCE,
    NOW_S,
    ROOT,
    algorithm_of,
    b64,
    jwk,
    mandate,
    seal,
    signature,
)

DOCTYPE: Final = "eu.europa.ec.eudi.lce.1"
RESPONSE_URI: Final = "https://market.example/oid4vp/response/1"
THUMBPRINT: Final = hashlib.sha256(b"the key of the verifier").digest()
MDOC_REQUEST: Final = PresentationRequest(AUDIENCE, NONCE, SessionTerms(RESPONSE_URI, THUMBPRINT))
SIGNER_PURPOSE: Final = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.0.18013.5.1.2")])
SIGNER: Final = seal(ROOT, further=[(SIGNER_PURPOSE, True)])

STATUS_TYPE: Final = "application/statuslist+cwt"
IDENTIFIER_TYPE: Final = "application/identifierlist+cwt"
ALGORITHMS: Final = {"ES256": -7, "ES384": -35, "EdDSA": -8}
_CURVES: Final = {"P-256": 1, "P-384": 2}


def cbor(value: Any) -> bytes:
    """CBOR of a value."""
    raw: bytes = cbor2.dumps(value)
    return raw


def embedded(value: Any) -> cbor2.CBORTag:
    """CBOR, embedded as bytes."""
    return cbor2.CBORTag(24, value if isinstance(value, bytes) else cbor(value))


def moment(time_s: int) -> cbor2.CBORTag:
    """A date-time."""
    return cbor2.CBORTag(0, datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def cose_key(key: Any) -> dict[int, Any]:
    """The public COSE_Key of a private key."""
    public = jwk(key)
    if public["kty"] == "OKP":
        return {1: 1, -1: 6, -2: from_base64url(public["x"])}
    return {
        1: 2,
        -1: _CURVES[public["crv"]],
        -2: from_base64url(public["x"]),
        -3: from_base64url(public["y"]),
    }


def sign1(
    key: Any, payload: bytes, *, detached: bool = False, protected: Any = None, **unprotected: Any
) -> list[Any]:
    """A COSE_Sign1."""
    header = cbor({1: ALGORITHMS[algorithm_of(key)]} if protected is None else protected)
    signed = cbor(["Signature1", header, b"", payload])
    return [
        header,
        {33: unprotected["chain"]} if "chain" in unprotected else {},
        None if detached else payload,
        signature(key, algorithm_of(key), signed),
    ]


def cwt(key: Any, typ: str, claims: Mapping[int, Any], *chain: Issued, **header: Any) -> bytes:
    """A CWT that says what it is, with the certificates in its protected header."""
    ders = [one.der for one in chain]
    fields = {1: ALGORITHMS[algorithm_of(key)], 16: typ, 33: ders[0] if len(ders) == 1 else ders}
    if not ders:
        del fields[33]
    return cbor(cbor2.CBORTag(18, sign1(key, cbor(dict(claims)), protected=fields | header.get("more", {}))))


def status_cwt(
    revoked: Sequence[int] = (), issuer: Issued = SIGNER, typ: str = STATUS_TYPE, **changes: Any
) -> bytes:
    """A status list of 1,024 entries as a CWT; `changes` name claims as `c` and their number."""
    content = bytearray(128)
    for index in revoked:
        content[index // 8] |= 1 << index % 8
    listed = {"bits": 1, "lst": zlib.compress(bytes(content))}
    return cwt(issuer.key, typ, list_claims({65533: listed}, changes), issuer)


def identifier_cwt(
    revoked: Sequence[bytes] = (), issuer: Issued = SIGNER, typ: str = IDENTIFIER_TYPE, **changes: Any
) -> bytes:
    """An identifier list as a CWT; see `status_cwt`."""
    listed: dict[str, Any] = {"identifiers": {one: {} for one in revoked}}
    return cwt(issuer.key, typ, list_claims({65530: listed}, changes), issuer)


def list_claims(content: Mapping[int, Any], changes: Mapping[str, Any]) -> dict[int, Any]:
    """The claims of a list; one of None is left out."""
    claims = {2: LIST_URI, 4: NOW_S + 600, 6: NOW_S, 65534: 720, **content}
    claims |= {int(name.removeprefix("c")): value for name, value in changes.items()}
    return {name: value for name, value in claims.items() if value is not None}


def element(number: int, name: str, value: Any, **changes: Any) -> bytes:
    """An element, as its digest is of it."""
    return cbor(
        {"digestID": number, "random": b"\x07" * 32, "elementIdentifier": name, "elementValue": value}
        | changes
    )


def elements(holder: Any = HOLDER, **more: Any) -> list[bytes]:
    """A mandate, and further elements."""
    values = {"mandate": mandate(holder)} | more
    return [element(number, name, value) for number, (name, value) in enumerate(values.items())]


def security_object(
    items: Mapping[str, Sequence[bytes]], holder: Any = HOLDER, function: str = "sha256", **changes: Any
) -> dict[str, Any]:
    """A mobile security object; a member of None is left out."""
    content = {
        "version": "1.0",
        "digestAlgorithm": {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}[function],
        "valueDigests": {
            namespace: {
                cbor2.loads(one)["digestID"]: hashlib.new(function, cbor(embedded(one))).digest()
                for one in entries
            }
            for namespace, entries in items.items()
        },
        "deviceKeyInfo": {"deviceKey": cose_key(holder)},
        "docType": DOCTYPE,
        "validityInfo": validity(),
    } | changes
    return {name: value for name, value in content.items() if value is not None}


def validity(begin_s: int = NOW_S - DAY_S, end_s: int = NOW_S + DAY_S) -> dict[str, Any]:
    """Of a mobile security object."""
    return {"signed": moment(begin_s), "validFrom": moment(begin_s), "validUntil": moment(end_s)}


def issued(
    items: Sequence[bytes] | None = None,
    *,
    shown: Sequence[bytes] | None = None,
    issuer: Issued = SIGNER,
    mso: Mapping[str, Any] | None = None,
    holder: Any = HOLDER,
    **changes: Any,
) -> dict[str, Any]:
    """What an issuer gives to a wallet; `shown` are the elements that are disclosed of it."""
    items = elements(holder) if items is None else items
    content = security_object({DOCTYPE: items}, holder) if mso is None else mso
    auth = sign1(issuer.key, cbor(embedded(dict(content))), chain=issuer.der)
    spaces = {DOCTYPE: [embedded(one) for one in (items if shown is None else shown)]}
    return {"nameSpaces": spaces, "issuerAuth": auth} | changes


def transcript(audience: str, nonce: str, response_uri: str, thumbprint: bytes | None) -> list[Any]:
    """The SessionTranscript of OpenID4VP 1.0, appendix B.2.6.1."""
    info = cbor([audience, nonce, thumbprint, response_uri])
    return [None, None, ["OpenID4VPHandover", hashlib.sha256(info).digest()]]


OURS: Final = transcript(AUDIENCE, NONCE, RESPONSE_URI, THUMBPRINT)


def device_signed(
    doctype: str = DOCTYPE, holder: Any = HOLDER, session: list[Any] = OURS, spaces: Any = None
) -> dict[str, Any]:
    """What a device signs."""
    spaces = embedded({} if spaces is None else spaces)
    content = cbor(embedded(["DeviceAuthentication", session, doctype, spaces]))
    auth = {"deviceSignature": sign1(holder, content, detached=True)}
    return {"nameSpaces": spaces, "deviceAuth": auth}


def response(
    document: Mapping[str, Any] | None = None,
    device: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    **parts: Any,
) -> str:
    """A device response in base64url."""
    one = {
        "docType": DOCTYPE,
        "issuerSigned": dict(issued() if document is None else document),
        "deviceSigned": dict(device_signed() if device is None else device),
    } | parts
    content = {"version": "1.0", "documents": [one], "status": 0} | dict(changes or {})
    return b64(cbor(content))


def mdoc_for(request: Mapping[str, Any], holder: Any = HOLDER, document: Any = None) -> str:
    """A presentation of an employee's mdoc for a request, as a wallet reads it."""
    keys = request["client_metadata"].get("jwks", {"keys": []})["keys"]
    thumbprint = None
    if keys:
        members = {name: keys[0][name] for name in ("crv", "kty", "x", "y")}
        thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    session = transcript(request["client_id"], request["nonce"], request["response_uri"], thumbprint)
    return response(document or issued(), device_signed(holder=holder, session=session))
