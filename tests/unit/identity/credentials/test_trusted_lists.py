"""Trusted lists: what of them becomes an anchor, and every way to smuggle one in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hansa.core.certificates import Certificate, read_certificate
from hansa.core.errors import HansaError
from hansa.identity.credentials.trusted_lists.json_list import read_json_list
from hansa.identity.credentials.trusted_lists.xml_list import read_xml_list
from tests.support.certificates import NOW, YEAR, Issued, authority
from tests.support.credentials import NOW_S, ROOT, SEAL, jwt, seal, x5c
from tests.support.trusted_lists import (
    OPERATOR,
    PID,
    QUALIFIED,
    WITHDRAWN,
    json_list,
    lote,
    plain_xml,
    purpose,
    service,
    signed_xml,
    xml_list,
)

OTHER = authority("Another CA")
STRANGER = seal(None, None)
ENDED = seal(None, None, begin=NOW - 2 * YEAR, end=NOW - YEAR)


def signers(*certificates: Issued) -> list[Certificate]:
    return [read_certificate(one.der) for one in certificates or (OPERATOR,)]


def anchors(raw: bytes | str, *counted: str, named: list[Certificate] | None = None) -> set[bytes]:
    """DER of the anchors in a list."""
    types = counted or (QUALIFIED, PID)
    read = named or signers()
    if isinstance(raw, bytes):
        return {one.raw for one in read_xml_list(raw, read, types, NOW_S).anchors}
    return {one.raw for one in read_json_list(raw, read, types, NOW_S).anchors}


def test_authorities_of_the_services_that_count_are_anchors_in_either_form() -> None:
    services = service(ROOT), service(OTHER, PID)
    for raw in (xml_list(*services), json_list(*services)):
        assert anchors(raw) == {ROOT.der, OTHER.der}
        assert anchors(raw, QUALIFIED) == {ROOT.der}
        assert anchors(raw, "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST") == set()


def test_a_service_without_a_status_counts_in_json_alone() -> None:
    assert anchors(json_list(service(ROOT, PID, ""))) == {ROOT.der}
    assert anchors(xml_list(service(ROOT, PID, ""))) == set()


@pytest.mark.parametrize("status", [WITHDRAWN, "granted", "http://uri.etsi.org/x/granted"])
def test_a_service_that_is_not_granted_is_no_anchor(status: str) -> None:
    assert anchors(xml_list(service(ROOT, status=status), service(OTHER))) == {OTHER.der}
    assert anchors(json_list(service(ROOT, status=status), service(OTHER))) == {OTHER.der}


def test_an_authority_for_signatures_or_web_sites_alone_is_no_anchor() -> None:
    raw = xml_list(
        service(ROOT, extensions=purpose("eSignatures") + purpose("WebSiteAuthentication")),
        service(OTHER, extensions=purpose("eSignatures") + purpose("eSeals")),
    )
    assert anchors(raw) == {OTHER.der}


def test_a_service_with_a_critical_extension_that_is_unknown_is_no_anchor() -> None:
    unknown = '<Extension Critical="true"><TakenOverBy/></Extension>'
    harmless = '<Extension Critical="false"><Whatever/></Extension>'
    raw = xml_list(service(ROOT, extensions=unknown), service(OTHER, extensions=harmless))
    assert anchors(raw) == {OTHER.der}


def test_a_certificate_that_is_none_of_an_authority_is_left_out_and_counted() -> None:
    services, terms = (service(SEAL), service(ROOT)), (signers(), {QUALIFIED}, NOW_S)
    for content in (
        read_xml_list(xml_list(*services), *terms),
        read_json_list(json_list(*services), *terms),
    ):
        assert ([one.raw for one in content.anchors], content.skipped) == ([ROOT.der], 1)


def wrapped() -> bytes:
    """A signed list inside of another one, that names an authority of the attacker's."""
    signed = etree.fromstring(xml_list(service(ROOT)))
    forged = etree.fromstring(plain_xml([service(OTHER)]).encode())
    signature = signed.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    forged.append(signature)
    extra = etree.SubElement(forged, "{http://uri.etsi.org/02231/v2#}Extra")
    extra.append(signed)
    return bytes(etree.tostring(forged))


def altered(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


def text_of(issued: Issued) -> bytes:
    """A certificate as signxml writes it."""
    pem = issued.certificate.public_bytes(Encoding.PEM).splitlines()[1:-1]
    return b"\n".join(pem)


GOOD = xml_list(service(ROOT))
DOCTYPE = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BAD_XML: dict[str, bytes] = {
    "signed by a stranger": xml_list(service(ROOT), signer=STRANGER),
    "signed by nobody": plain_xml([service(ROOT)]).encode(),
    "altered": altered(GOOD, b"CA/QC", b"CA/QX"),
    "altered in its number": altered(GOOD, b">7<", b">8<"),
    "signed in a part of it": wrapped(),
    "signed by the name of its outermost element": signed_xml(
        plain_xml([service(ROOT)]).replace("<TrustServiceStatusList", '<TrustServiceStatusList Id="list"'),
        reference="#list",
    ),
    "with a document type": DOCTYPE + GOOD,
    "signed by a stranger under the operator's certificate": altered(
        xml_list(service(ROOT), signer=STRANGER), text_of(STRANGER), text_of(OPERATOR)
    ),
    "another document": signed_xml('<x xmlns="http://uri.etsi.org/02231/v2#"/>'),
    "no XML": b"<",
    "nothing": b"",
    "too long": b"<" + b" " * 8_388_608,
    "out of date": xml_list(service(ROOT), next_s=NOW_S - 301),
    "of the future": xml_list(service(ROOT), issued_s=NOW_S + 302),
    "closed": xml_list(service(ROOT), next_s=None),
    "without a number": xml_list(service(ROOT), number="x"),
}


@pytest.mark.parametrize("what", BAD_XML)
def test_a_list_in_xml_that_cannot_be_believed_is_refused(what: str) -> None:
    with pytest.raises(HansaError):
        anchors(BAD_XML[what])


BAD_JSON: dict[str, str] = {
    "signed by a stranger": json_list(service(ROOT), signer=STRANGER),
    "signed by a stranger with the operator's certificate": json_list(
        service(ROOT), signer=Issued(STRANGER.key, OPERATOR.certificate)
    ),
    "with nothing as algorithm": json_list(service(ROOT), alg="none"),
    "with a secret as key": json_list(service(ROOT), alg="HS256"),
    "with something critical": json_list(service(ROOT), crit=["x5c"]),
    "altered": json_list(service(ROOT))[:-4] + "AAAA",
    "with a critical extension": json_list(service(ROOT), SchemeExtensions=[{"critical": True}]),
    "out of date": json_list(service(ROOT), next_s=NOW_S - 301),
    "of the future": json_list(service(ROOT), issued_s=NOW_S + 302),
    "with a text as number": json_list(service(ROOT), number="7"),
    "with true as number": json_list(service(ROOT), number=True),
    "no list": "a.b.c",
    "nothing": "",
}


@pytest.mark.parametrize("what", BAD_JSON)
def test_a_list_in_json_that_cannot_be_believed_is_refused(what: str) -> None:
    with pytest.raises(HansaError):
        anchors(BAD_JSON[what])


def test_a_signer_that_has_ended_signs_no_list() -> None:
    for raw in (xml_list(service(ROOT), signer=ENDED), json_list(service(ROOT), signer=ENDED)):
        with pytest.raises(HansaError, match="has ended"):
            anchors(raw, named=signers(ENDED))


def test_nobody_may_sign_where_no_signer_is_named() -> None:
    for raw in (GOOD, json_list(service(ROOT))):
        with pytest.raises(HansaError, match="list-signers"):
            read_xml_list(raw, [], {QUALIFIED}, NOW_S) if isinstance(raw, bytes) else read_json_list(
                raw, [], {QUALIFIED}, NOW_S
            )


NODES = st.sampled_from([None, [], {}, "x", "é", 1, True, -1, 1e300, ["x"], {"a": 1}, 2**62])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a JSON value something stands."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


PLACES = list(places(lote([service(ROOT)])))


@given(st.sampled_from(PLACES), NODES)
def test_whatever_an_operator_of_a_list_writes_is_read_or_refused(place: tuple[Any, ...], node: Any) -> None:
    content: Any = lote([service(ROOT)])
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = node
    try:
        found = anchors(jwt(OPERATOR.key, content, typ=None, x5c=x5c(OPERATOR)))
    except HansaError:
        found = set()
    assert found <= {ROOT.der}


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_an_altered_list_names_no_other_authority(position: int, change: int) -> None:
    raw = bytearray(GOOD)
    raw[position] ^= change
    try:
        found = anchors(bytes(raw))
    except HansaError:
        found = set()
    assert found <= {ROOT.der}
