"""Trusted lists in XML (ETSI TS 119 612) with an enveloped XAdES signature, as the European Union's are.

The signature is verified by signxml, with the certificate that the operator named and no other. It has to
cover the whole document: one reference with an empty address, and beside it only the properties of the
signature and its key. What is read is what the verification returns, not the file, so that nothing that
is not signed is read (signature wrapping). A document type is refused before anything is expanded.

A certification authority (`CA/QC`) counts when the list says that it is for seals, or says nothing about what
it is for. A critical extension of a service that is not understood makes that service count for nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration
from signxml.xades.xades import XAdESVerifier

from hansa.core.certificates import Certificate
from hansa.identity.credentials.trusted_lists.content import (
    LIST_SIZE_MAX_BYTES,
    ListedService,
    TrustedList,
    listed,
    signer_among,
    unusable,
)

_LIST: Final = "{http://uri.etsi.org/02231/v2#}"
_EXTENDED: Final = "{http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#}"
_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_XADES: Final = "{http://uri.etsi.org/01903/v1.3.2#}"
_ROOT: Final = f"{_LIST}TrustServiceStatusList"
_PURPOSES: Final = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/For"
_SEALS: Final = f"{_PURPOSES}eSeals"
_KNOWN: Final = frozenset({f"{_LIST}AdditionalServiceInformation", f"{_EXTENDED}Qualifications"})
"""Extensions that may be critical. Qualifications say what is qualified, which does not matter here."""
_METHODS: Final = frozenset(
    {
        *(SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512),
        *(SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384, SignatureMethod.ECDSA_SHA512),
        *(SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.SHA384_RSA_MGF1, SignatureMethod.SHA512_RSA_MGF1),
    }
)
_DIGESTS: Final = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


def read_xml_list(
    raw: bytes, signers: Sequence[Certificate], counted: Collection[str], now_s: int
) -> TrustedList:
    """A list, whose signature holds.

    Args:
        raw: The document.
        signers: Certificates with which it may be signed.
        counted: Types of services whose certificates become anchors.
        now_s: Seconds since 1970.

    Raises:
        Refused: `Code.INVALID`, with the end of a sentence that begins with "it".
    """
    root = _document(raw)
    signatures = root.findall(f"{_SIGNATURE}Signature")
    if len(signatures) != 1 or len(list(root.iter(f"{_SIGNATURE}Signature"))) != 1:
        raise unusable("has not one signature")
    certificates = signatures[0].findall(
        f"{_SIGNATURE}KeyInfo/{_SIGNATURE}X509Data/{_SIGNATURE}X509Certificate"
    )
    if not certificates:
        raise unusable("has no certificate of whoever signed it")
    signer = signer_among(_der(certificates[0].text), signers, now_s)
    content = _signed(raw, signer, now_s)
    scheme = content.find(f"{_LIST}SchemeInformation")
    if scheme is None:
        raise unusable("says nothing about itself")
    number = (scheme.findtext(f"{_LIST}TSLSequenceNumber") or "").strip()
    return listed(
        int(number) if number.isascii() and number.isdigit() and len(number) < 12 else None,
        _text(scheme, "ListIssueDateTime"),
        _text(scheme, f"NextUpdate/{_LIST}dateTime"),
        list(_services(content)),
        counted,
        now_s,
    )


def _document(raw: bytes) -> Any:
    if len(raw) > LIST_SIZE_MAX_BYTES:
        raise unusable(f"has more than {LIST_SIZE_MAX_BYTES} bytes")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise unusable("is no XML") from error
    if root.getroottree().docinfo.doctype:
        raise unusable("has a document type")
    if root.tag != _ROOT:
        raise unusable("is another XML document than a trusted list")
    return root


def _signed(raw: bytes, signer: Certificate, now_s: int) -> Any:
    """What was signed of a document."""
    configuration = SignatureConfiguration(
        location="./",
        expect_references=True,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=datetime.fromtimestamp(now_s, UTC),
    )
    certificate = x509.load_der_x509_certificate(signer.raw)
    try:
        results = XAdESVerifier().verify(raw, x509_cert=certificate, expect_config=configuration)
    except (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unusable(
            "was altered after it was signed, or is signed in another way than by XAdES"
        ) from error
    whole = [one.signed_xml for one in results if one.signed_xml is not None and one.signed_xml.tag == _ROOT]
    references = results[0].signature_xml.findall(f"{_SIGNATURE}SignedInfo/{_SIGNATURE}Reference")
    addresses = [one.get("URI") for one in references]
    others = {one.signed_xml.tag for one in results if one.signed_xml is not None} - {_ROOT}
    if len(whole) != 1 or addresses.count("") != 1 or len(addresses) != len(results):
        raise unusable("has a signature that is not of the whole of it")
    if not others <= {f"{_XADES}SignedProperties", f"{_SIGNATURE}KeyInfo"}:
        raise unusable("has a signature of something else beside it")
    return whole[0]


def _services(content: Any) -> Iterator[ListedService]:
    path = "/".join(
        f"{_LIST}{name}"
        for name in (
            *("TrustServiceProviderList", "TrustServiceProvider", "TSPServices", "TSPService"),
            "ServiceInformation",
        )
    )
    for information in content.iterfind(path):
        extensions = information.findall(f"{_LIST}ServiceInformationExtensions/{_LIST}Extension")
        if any(_is_unknown(one) for one in extensions):
            continue
        purposes = {
            (one.text or "").strip()
            for one in information.iterfind(
                f"{_LIST}ServiceInformationExtensions/{_LIST}Extension/"
                f"{_LIST}AdditionalServiceInformation/{_LIST}URI"
            )
        }
        named = {one for one in purposes if one.startswith(_PURPOSES)}
        certificates = information.iterfind(
            f"{_LIST}ServiceDigitalIdentity/{_LIST}DigitalId/{_LIST}X509Certificate"
        )
        yield ListedService(
            type=_text(information, "ServiceTypeIdentifier"),
            status=_text(information, "ServiceStatus") or "none",
            certificates=tuple(_der(one.text) for one in certificates),
            is_for_seals=not named or _SEALS in named,
        )


def _is_unknown(extension: Any) -> bool:
    is_critical = extension.get("Critical", "false") in {"true", "1"}
    return is_critical and not all(one.tag in _KNOWN for one in extension)


def _text(element: Any, path: str) -> str:
    return (element.findtext(f"{_LIST}{path}") or "").strip()


def _der(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except ValueError as error:
        raise unusable("has a certificate that is no base64") from error
