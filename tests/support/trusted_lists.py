"""Trusted lists for tests: XML signed by signxml, JSON signed by `cryptography`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import SignatureMethod
from signxml.xades.xades import XAdESSigner

from tests.support.certificates import Issued
from tests.support.credentials import DAY_S, NOW_S, jwt, seal, x5c

QUALIFIED: Final = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
PID: Final = "http://uri.etsi.org/19602/SvcType/PID/Issuance"
GRANTED: Final = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
WITHDRAWN: Final = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"
DSIG: Final = "{http://www.w3.org/2000/09/xmldsig#}"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
FOR: Final = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/For"
OPERATOR: Final = seal(None, None)
"""Signs lists; no authority certified it."""

Service = tuple[Issued, str, str, str]
"""Authority, type, status, and extensions in XML."""


def time_text(time_s: int) -> str:
    """A time as lists have it."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def purpose(name: str, *, is_critical: bool = True) -> str:
    """The extension that says what a service certifies for."""
    return (
        f'<Extension Critical="{str(is_critical).lower()}"><AdditionalServiceInformation>'
        f'<URI xml:lang="en">{FOR}{name}</URI></AdditionalServiceInformation></Extension>'
    )


def service(authority: Issued, type: str = QUALIFIED, status: str = GRANTED, extensions: str = "") -> Service:
    """A service in a list."""
    return authority, type, status, extensions


def plain_xml(
    services: Sequence[Service],
    number: Any = 7,
    issued_s: int = NOW_S - DAY_S,
    next_s: int | None = NOW_S + DAY_S,
) -> str:
    """A list that nobody signed."""
    entries = "".join(
        "<TSPService><ServiceInformation>"
        f"<ServiceTypeIdentifier>{type}</ServiceTypeIdentifier>"
        "<ServiceDigitalIdentity><DigitalId><X509Certificate>"
        f"{base64.b64encode(authority.der).decode()}"
        "</X509Certificate></DigitalId></ServiceDigitalIdentity>"
        f"<ServiceStatus>{status}</ServiceStatus>"
        f"<ServiceInformationExtensions>{extensions}</ServiceInformationExtensions>"
        "</ServiceInformation></TSPService>"
        for authority, type, status, extensions in services
    )
    following = "" if next_s is None else f"<dateTime>{time_text(next_s)}</dateTime>"
    return (
        '<TrustServiceStatusList xmlns="http://uri.etsi.org/02231/v2#">'
        f"<SchemeInformation><TSLSequenceNumber>{number}</TSLSequenceNumber>"
        f"<ListIssueDateTime>{time_text(issued_s)}</ListIssueDateTime>"
        f"<NextUpdate>{following}</NextUpdate></SchemeInformation>"
        f"<TrustServiceProviderList><TrustServiceProvider><TSPServices>{entries}</TSPServices>"
        "</TrustServiceProvider></TrustServiceProviderList></TrustServiceStatusList>"
    )


class _Signer(XAdESSigner):
    """Says how its references are canonicalised, as the signers of public lists do."""

    def _add_reference_to_signed_info(self, sig_root: Any, node_to_reference: Any, **attrs: Any) -> None:
        super()._add_reference_to_signed_info(sig_root, node_to_reference, **attrs)  # type: ignore[no-untyped-call]
        reference = sig_root.findall(f"{DSIG}SignedInfo/{DSIG}Reference")[-1]
        transforms = etree.Element(f"{DSIG}Transforms")
        etree.SubElement(transforms, f"{DSIG}Transform", Algorithm=EXCLUSIVE)
        reference.insert(0, transforms)


def signed_xml(text: str, signer: Issued = OPERATOR, reference: str | None = None) -> bytes:
    """A document with an enveloped XAdES signature; of the element that is named, or of the whole."""
    root = etree.fromstring(text.encode())
    pem = signer.certificate.public_bytes(Encoding.PEM).decode()
    xades = _Signer(signature_algorithm=SignatureMethod.ECDSA_SHA256, c14n_algorithm=EXCLUSIVE)
    raw: bytes = etree.tostring(xades.sign(root, key=signer.key, cert=pem, reference_uri=reference))
    return raw


def xml_list(*services: Service, signer: Issued = OPERATOR, **options: Any) -> bytes:
    """A list in XML."""
    return signed_xml(plain_xml(services, **options), signer)


def lote(
    services: Sequence[Service],
    number: Any = 7,
    issued_s: int = NOW_S - DAY_S,
    next_s: int = NOW_S + DAY_S,
    **scheme: Any,
) -> dict[str, Any]:
    """A list of trusted entities."""
    information = {
        "LoTEVersionIdentifier": 1,
        "LoTESequenceNumber": number,
        "ListIssueDateTime": time_text(issued_s),
        "NextUpdate": time_text(next_s),
    } | scheme
    entries = [
        {
            "ServiceInformation": {
                "ServiceTypeIdentifier": type,
                "ServiceDigitalIdentity": {
                    "X509Certificates": [{"val": base64.b64encode(authority.der).decode()}]
                },
            }
            | ({"ServiceStatus": status} if status else {})
        }
        for authority, type, status, _ in services
    ]
    entity = {"TrustedEntityInformation": {}, "TrustedEntityServices": entries}
    return {"LoTE": {"ListAndSchemeInformation": information, "TrustedEntitiesList": [entity]}}


def json_list(*services: Service, signer: Issued = OPERATOR, **options: Any) -> str:
    """A list in JSON."""
    header = {name: options.pop(name) for name in ("crit", "alg", "sigT") if name in options}
    content = lote(services, **options)
    return jwt(signer.key, content, **{"typ": None, "x5c": x5c(signer)} | header)
