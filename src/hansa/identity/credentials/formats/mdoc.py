"""`mso_mdoc`: credentials as ISO/IEC 18013-5 has them, with the mobile security object of their issuer.

An mdoc is a set of elements in namespaces. Its issuer signs the *mobile security object* (MSO), which has a
digest of each element with a random salt, the document type, the validity, the key of the device and where
the status is. Whoever presents one shows some of the elements, each as the bytes of which the MSO has the
digest, so an element that is shown is one that was signed, and nothing is known of the others.

Who the issuer is, its certificates say alone: an mdoc names nobody. Claims are given as JSON; bytes in them
as base64url, dates as texts. The claims about the subject are the elements of all namespaces, so that a
mandate is the element `mandate` of whichever namespace has it.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Mapping
from typing import Any, Final

from hansa.core.base64url import to_base64url
from hansa.core.bounded_cbor import Tagged, write_cbor
from hansa.core.certificates.extensions import MDOC_PURPOSES
from hansa.core.errors import Refused
from hansa.identity.credentials.formats.cose import cbor_map, cbor_value, read_cose_key, read_sign1
from hansa.identity.credentials.formats.document import (
    CREDENTIAL_SIZE_MAX_BYTES,
    TEXT_MAX_CHARS,
    CredentialDocument,
    HolderBinding,
)
from hansa.identity.credentials.refusals import malformed
from hansa.identity.credentials.times import Validity, date_time
from hansa.identity.foreign_jws import decoded_part

MDOC_FORMAT: Final = "mso_mdoc"
NAMESPACES_MAX: Final = 16
ELEMENTS_MAX: Final = 256

ENCODED: Final = 24
"""Tag of bytes that are CBOR themselves."""
_TIMES: Final = frozenset({0, 1004})
"""Tags of a date-time and of a date, as texts (RFC 3339, RFC 8943)."""
_HASHES: Final = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_INTEGER_MIN: Final = -(2**63)
_INTEGER_MAX: Final = 2**64 - 1
_VERSION: Final = "1.0"


def read_mdoc(text: str) -> CredentialDocument:
    """What an mdoc says, as it is issued: `IssuerSigned` in base64url (OpenID4VCI 1.0, appendix A.2.4).

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    return issuer_signed(read_base64_map(text))


def read_base64_map(text: str) -> dict[Any, Any]:
    """The CBOR map in a base64url text.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if len(text) > CREDENTIAL_SIZE_MAX_BYTES or not text.isascii():
        raise malformed(f"it is longer than {CREDENTIAL_SIZE_MAX_BYTES} bytes, or not ASCII")
    try:
        raw = decoded_part(text)
    except Refused as error:
        raise malformed(error.message) from error
    return cbor_map(raw, "it")


def issuer_signed(value: Any) -> CredentialDocument:
    """What an `IssuerSigned` says (ISO/IEC 18013-5, section 8.3.2.1.2.2): all elements in it are in its MSO.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if not isinstance(value, dict) or not value.keys() <= {"nameSpaces", "issuerAuth"}:
        raise malformed("what the issuer signed is no map of elements and a signature")
    jws = read_sign1(value.get("issuerAuth"))
    mso = _security_object(jws.payload)
    doctype = mso["docType"]
    claims = _elements(value.get("nameSpaces", {}), mso)
    info = _map(mso.get("validityInfo"), "validityInfo")
    begins = (_time(info, "signed"), _time(info, "validFrom"))
    status = mso.get("status")
    return CredentialDocument(
        jws=jws,
        types=(doctype,),
        issuer=None,
        subject=_subject(claims),
        claims=claims,
        validity=Validity(begins, (_time(info, "validUntil"),)),
        holder=HolderBinding(key=_device_key(mso)),
        status=() if status is None else (as_json(status),),
        status_form="cose",
        signer_purposes=MDOC_PURPOSES,
    )


def embedded(value: Any, what: str) -> bytes:
    """The bytes of CBOR that is embedded as bytes (`#6.24(bstr .cbor …)`).

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    if not isinstance(value, Tagged) or value.number != ENCODED or not isinstance(value.value, bytes):
        raise malformed(f"{what} is not embedded as bytes")
    return value.value


def encoded_bytes(raw: bytes) -> bytes:
    """CBOR embedded as bytes, with its tag: what digests and signatures of an mdoc are of."""
    return write_cbor(Tagged(ENCODED, raw))


def _security_object(payload: bytes) -> dict[Any, Any]:
    outer = embedded(cbor_value(payload, "the security object"), "the security object")
    mso = cbor_map(outer, "the security object")
    if mso.get("version") != _VERSION:
        raise malformed("its security object is of a version that is not supported")
    doctype = mso.get("docType")
    if not isinstance(doctype, str) or not 0 < len(doctype) <= TEXT_MAX_CHARS or not doctype.isprintable():
        raise malformed("its security object names no document type")
    return mso


def _elements(namespaces: Any, mso: Mapping[Any, Any]) -> dict[str, dict[str, Any]]:
    """The elements that are shown, by namespace: each has its digest in the security object."""
    algorithm = mso.get("digestAlgorithm")
    function = _HASHES.get(algorithm) if isinstance(algorithm, str) else None
    if function is None:
        raise malformed("its security object has digests by an algorithm that is not supported")
    digests = _map(mso.get("valueDigests"), "valueDigests")
    if not isinstance(namespaces, dict) or len(namespaces) > NAMESPACES_MAX:
        raise malformed(f"its elements are not in at most {NAMESPACES_MAX} namespaces")
    claims: dict[str, dict[str, Any]] = {}
    for namespace, items in namespaces.items():
        if (
            not isinstance(namespace, str)
            or not isinstance(items, list)
            or not 0 < len(items) <= ELEMENTS_MAX
        ):
            raise malformed(f"a namespace has not 1 to {ELEMENTS_MAX} elements")
        signed = _map(digests.get(namespace), "valueDigests of a namespace")
        claims[namespace] = _namespace(items, signed, function)
    return claims


def _namespace(items: list[Any], signed: Mapping[Any, Any], function: str) -> dict[str, Any]:
    elements: dict[str, Any] = {}
    seen: set[int] = set()
    for item in items:
        raw = embedded(item, "an element")
        entry = cbor_map(raw, "an element")
        number, name = entry.get("digestID"), entry.get("elementIdentifier")
        if isinstance(number, bool) or not isinstance(number, int) or not isinstance(name, str):
            raise malformed("an element has no number or no name")
        if entry.keys() != {"digestID", "random", "elementIdentifier", "elementValue"}:
            raise malformed("an element has other parts than number, salt, name and value")
        if number in seen or name in elements:
            raise malformed(f"an element is there twice: {name[:64]!r}")
        digest = hashlib.new(function, encoded_bytes(raw)).digest()
        expected = signed.get(number)
        if not isinstance(expected, bytes) or not hmac.compare_digest(expected, digest):
            raise malformed(f"an element is not the one that its issuer signed: {name[:64]!r}")
        seen.add(number)
        elements[name] = as_json(entry["elementValue"])
    return elements


def _subject(claims: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The elements of all namespaces; none may be in two, or which one counts would depend on the reader."""
    subject: dict[str, Any] = {}
    for elements in claims.values():
        twice = subject.keys() & elements.keys()
        if twice:
            raise malformed(f"an element is in two namespaces: {min(twice)[:64]!r}")
        subject |= elements
    return subject


def _device_key(mso: Mapping[Any, Any]) -> Any:
    return read_cose_key(_map(mso.get("deviceKeyInfo"), "deviceKeyInfo").get("deviceKey"))


def _time(info: Mapping[Any, Any], name: str) -> int:
    value = info.get(name)
    moment = date_time({name: value.value}, name) if isinstance(value, Tagged) and value.number == 0 else None
    if moment is None:
        raise malformed(f"its security object has no time `{name}`")
    return moment


def _map(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise malformed(f"`{name}` is no map")
    return value


def as_json(value: Any) -> Any:
    """A value of CBOR as JSON has it.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`, when it has none.
    """
    if isinstance(value, bytes):
        return to_base64url(value)
    if isinstance(value, list):
        return [as_json(one) for one in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise malformed("an element has a map whose keys are no texts")
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, Tagged):
        if value.number not in _TIMES or not isinstance(value.value, str):
            raise malformed(f"an element has something with the tag {value.number}, which means nothing here")
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        raise malformed("an element has a number that is none")
    if isinstance(value, int) and not _INTEGER_MIN <= value <= _INTEGER_MAX:
        raise malformed("an element has a number that JSON cannot have")
    return value
