"""Presentations of mdocs: a `DeviceResponse` for a request of OpenID4VP (1.0, appendix B.2; ISO/IEC 18013-5).

The device signs, with the key that the issuer put into the security object, a text about the *session*: who
asked (client identifier), for which request (nonce), to which key the answer is encrypted, and where it is
posted. Each side computes that text for itself, and nothing of it is in the answer. So a presentation for
another verifier, another request or another key does not verify, as one by another device does not, and
nobody can tell these apart.

    SessionTranscript = [null, null, ["OpenID4VPHandover", SHA-256 of the CBOR of the following]]
    [client_id, nonce, thumbprint of the key, response_uri]

A response has one document. One that is authenticated by a MAC (`deviceMac`) is refused: it proves nothing to
a verifier that has no key of its own in the session. What the device says of itself (device-signed elements)
is signed and not used.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from hansa.core.bounded_cbor import Tagged, write_cbor
from hansa.core.errors import Code, Refused
from hansa.identity.credentials.formats.cose import cbor_map, read_sign1
from hansa.identity.credentials.formats.document import CredentialDocument
from hansa.identity.credentials.formats.mdoc import (
    ENCODED,
    embedded,
    encoded_bytes,
    issuer_signed,
    read_base64_map,
)
from hansa.identity.credentials.refusals import malformed
from hansa.identity.foreign_jws import is_signed_by

_HANDOVER: Final = "OpenID4VPHandover"
_VERSION: Final = "1.0"


class SessionTerms(msgspec.Struct, frozen=True):
    """What a device signs about a request beside audience and nonce."""

    response_uri: str
    """Where the answer is posted."""
    key_thumbprint: bytes | None = None
    """SHA-256 thumbprint (RFC 7638) of the key to which the answer is encrypted; None: it is not."""


class MdocPresentation(msgspec.Struct, frozen=True):
    """A presentation, *unverified*."""

    document: CredentialDocument
    device_elements: bytes
    """Those that the device signs, in CBOR."""
    device_auth: Any
    """How it authenticates itself."""


def is_device_response(text: str) -> bool:
    """Whether a text is a presentation of mdocs, and not an mdoc as it is issued.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    return "documents" in read_base64_map(text)


def read_device_response(text: str) -> MdocPresentation:
    """What a `DeviceResponse` in base64url says, with its one document.

    Raises:
        Refused: `Code.CREDENTIAL_MALFORMED`.
    """
    response = read_base64_map(text)
    if not response.keys() <= {"version", "documents", "status"} or response.get("version") != _VERSION:
        raise malformed("it is no device response of version 1.0 with documents alone")
    documents = response.get("documents")
    if type(response.get("status")) is not int or response["status"] != 0:
        raise malformed("the device says that something went wrong (`status`)")
    if not isinstance(documents, list) or len(documents) != 1 or not isinstance(documents[0], dict):
        raise malformed("it has not one document")
    (presented,) = documents
    if not presented.keys() <= {"docType", "issuerSigned", "deviceSigned", "errors"}:
        raise malformed("its document has parts that are not known")
    document = issuer_signed(presented.get("issuerSigned"))
    if (presented.get("docType"),) != document.types:
        raise malformed("its document names another type than the one that its issuer signed")
    signed = presented.get("deviceSigned")
    if not isinstance(signed, dict):
        raise Refused(Code.PRESENTATION_UNBOUND, "the device did not sign it")
    elements = embedded(signed.get("nameSpaces"), "the elements of the device")
    cbor_map(elements, "the elements of the device")
    return MdocPresentation(document, elements, signed.get("deviceAuth"))


def session_transcript(client_id: str, nonce: str, terms: SessionTerms) -> list[Any]:
    """What both sides know of a request (OpenID4VP 1.0, appendix B.2.6.1)."""
    info = write_cbor([client_id, nonce, terms.key_thumbprint, terms.response_uri])
    return [None, None, [_HANDOVER, hashlib.sha256(info).digest()]]


def device_authentication(doctype: str, elements: bytes, transcript: list[Any]) -> bytes:
    """What the device signs (ISO/IEC 18013-5, section 9.1.3.4)."""
    return encoded_bytes(write_cbor(["DeviceAuthentication", transcript, doctype, Tagged(ENCODED, elements)]))


def check_device(presentation: MdocPresentation, client_id: str, nonce: str, terms: SessionTerms) -> bytes:
    """Check that the device to which an mdoc was issued presents it for a request.

    Returns:
        What it signed, with its key: nobody else signs the same.

    Raises:
        Refused: `Code.PRESENTATION_UNBOUND` or `Code.CREDENTIAL_MALFORMED`.
    """
    document = presentation.document
    key = document.holder.key
    assert key is not None, "every security object has the key of a device"
    auth = presentation.device_auth
    if isinstance(auth, dict) and auth.keys() == {"deviceMac"}:
        raise Refused(
            Code.PRESENTATION_UNBOUND, "the device authenticates itself by a MAC, and a signature is needed"
        )
    if not isinstance(auth, dict) or auth.keys() != {"deviceSignature"}:
        raise Refused(Code.PRESENTATION_UNBOUND, "the device did not authenticate itself by a signature")
    transcript = session_transcript(client_id, nonce, terms)
    content = device_authentication(document.types[0], presentation.device_elements, transcript)
    jws = read_sign1(auth["deviceSignature"], content)
    if not is_signed_by(jws, key):
        raise Refused(
            Code.PRESENTATION_UNBOUND,
            "the device's key did not sign it for this verifier, this request and this way of answering",
        )
    return content + key.raw
