"""A newcomer's key is certified, and its candidacy says so."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import CANDIDACY, verify_possession
from hansa.core.trust.certificates import certificate_text
from hansa.node.folder import CARD, init_member, read_card
from hansa.node.joining.candidacy import candidacy_of
from hansa.node.joining.certificates import certificate_request, certify_candidacy
from hansa.node.joining.joining import CANDIDACY_FILE
from tests.support.certificates import Issued, Usages, authority, issue

LEAGUE = "a" * 64
DID = "did:elsi:VATES-12345678"
CLOCK = SystemClock()
BEGIN, END = CLOCK.now() - timedelta(days=1), CLOCK.now() + timedelta(days=9)
ROOT = authority(begin=BEGIN, end=END)


def newcomer(folder: Path, did: str = DID) -> Path:
    init_member(folder, "goodair", "https://goodair.example", CLOCK, did=did, p2p_port=1)
    card = read_card(folder / CARD)
    (folder / CANDIDACY_FILE).write_text(candidacy_of(folder, card, LEAGUE, 1) + "\n")
    return folder


def issued(folder: Path) -> Issued:
    """What an authority makes of the request."""
    request = x509.load_pem_x509_csr(certificate_request(folder, "GoodAir S.L.", "ES"))
    assert request.is_signature_valid

    class Holder:
        @staticmethod
        def public_key() -> object:
            return request.public_key()

    usage = Usages(content_commitment=True).extension()
    return issue(request.subject, Holder(), ROOT, extensions=[(usage, True)], begin=BEGIN, end=END)


def test_an_authority_certifies_the_key_and_the_candidacy_carries_it(tmp_path: Path) -> None:
    folder = newcomer(tmp_path / "market")
    leaf = issued(folder)
    (named,) = leaf.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)
    assert named.value == "VATES-12345678"
    path = certify_candidacy(folder, [leaf.der], 2)
    candidacy, _ = CANDIDACY.read(path.read_text().strip())
    assert (candidacy.did, candidacy.league) == (DID, LEAGUE)
    proof = verify_possession(candidacy.keys[0], DID, LEAGUE, "signing")
    assert proof.x5c == (certificate_text(leaf.der),)


def test_a_certificate_of_another_key_or_organization_is_refused(tmp_path: Path) -> None:
    folder = newcomer(tmp_path / "market")
    foreign = issued(newcomer(tmp_path / "other", "did:elsi:VATES-2"))
    with pytest.raises(Refused, match="not for the key") as caught:
        certify_candidacy(folder, [foreign.der], 2)
    assert caught.value.code is Code.CERTIFICATE_INVALID


def test_only_legal_persons_have_certificates_and_only_newcomers_a_candidacy(tmp_path: Path) -> None:
    web = newcomer(tmp_path / "web", "did:web:market.example")
    with pytest.raises(Refused, match=r"no did:elsi"):
        certificate_request(web, "GoodAir", "ES")
    folder = newcomer(tmp_path / "market")
    leaf = issued(folder)
    (folder / CANDIDACY_FILE).unlink()
    with pytest.raises(Refused, match="no candidacy"):
        certify_candidacy(folder, [leaf.der], 2)
    with pytest.raises(Refused, match="cannot be in a certificate"):
        certificate_request(folder, "GoodAir", "Spain")
