"""A legal person joins a league, renews its certificate, lets it expire, and is revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hansa.core.governance.changes import MemberPut, ParamSet
from hansa.core.governance.statements import KeyRotate
from hansa.core.keys import SigningKey
from hansa.core.trust.certificates import certificate_text
from hansa.core.trust.changes import AnchorPut, AnchorRemove, CertificateRevoke
from hansa.pubsub.ledger.rules.certificates import (
    CERTIFICATE,
    CERTIFICATE_MISSING,
    EXPIRED,
    REVOKED,
    certificate_of,
)
from hansa.pubsub.ledger.rules.propose import encode_proposal
from tests.support.certificates import Issued, authority, new_key
from tests.support.governed import CLOCK, GovernedLeague
from tests.support.legal_persons import BEGIN, DID, END, PUT_ROOT, LegalPerson, SealedPerson, rsa_seal


def attempt(league: GovernedLeague, change: MemberPut) -> int:
    """The result code of a proposal to admit somebody."""
    return league.numbers(encode_proposal(league.proposal(league.governors[0], change)))[0]


def joined(**options: Any) -> tuple[GovernedLeague, LegalPerson]:
    """A league with a legal person as its fifth member."""
    league = GovernedLeague()
    person = LegalPerson(league.league)
    assert league.decide(PUT_ROOT) == "passed"
    assert league.decide(person.put(person.certificate(**options))) == "passed"
    return league, person


def test_a_legal_person_is_admitted_under_an_anchor_that_was_voted_for_and_publishes() -> None:
    league, person = joined()
    certificate = certificate_of(league.state, DID, person.key.kid)
    assert certificate is not None
    assert league.numbers(person.batch(league)) == [0]


def test_nobody_is_admitted_in_a_legal_person_s_name() -> None:
    league = GovernedLeague()
    person = LegalPerson(league.league)
    assert attempt(league, person.put(person.certificate())) == CERTIFICATE.number, "no anchor yet"
    assert league.decide(PUT_ROOT) == "passed"
    impostor = authority(begin=BEGIN, end=END)
    chains: tuple[tuple[Issued, ...], ...] = (
        (person.certificate(None),),
        (person.certificate(impostor),),
        (person.certificate(impostor), impostor),
        (person.certificate(organization_identifier="VATES-87654321"),),
        (person.certificate(key=new_key()),),
        (person.certificate(end=CLOCK.now() - timedelta(seconds=1)),),
        (person.certificate(begin=CLOCK.now() + timedelta(days=1)),),
    )
    for chain in chains:
        assert attempt(league, person.put(*chain)) == CERTIFICATE.number
    assert attempt(league, person.put()) == CERTIFICATE_MISSING.number
    assert league.state.member(DID) is None
    assert league.decide(ParamSet("elsi_certificate_required", 0)) == "passed"
    assert league.decide(person.put()) == "passed"


def test_a_certificate_that_expires_while_its_proposal_is_open_admits_nobody() -> None:
    league = GovernedLeague()
    person = LegalPerson(league.league)
    assert league.decide(PUT_ROOT) == "passed"
    leaf = person.certificate(end=CLOCK.now() + timedelta(minutes=10))
    name = league.propose(league.governors[0], person.put(leaf))
    league.commit(seconds=3600)
    for voter in league.governors:
        if league.outcome(name) == "open":
            league.commit(voter.vote(name))
    assert league.outcome(name) != "passed"
    assert league.state.member(DID) is None


def test_an_expired_key_publishes_nothing_and_still_renews_itself() -> None:
    league, person = joined(end=CLOCK.now() + timedelta(minutes=10))
    assert league.numbers(person.batch(league)) == [0]
    league.commit(seconds=3600)
    assert league.numbers(person.batch(league)) == [EXPIRED.number]
    renewed = KeyRotate(person.proof(person.certificate(serial=78)))
    assert league.numbers(person.state(renewed)) == [0]
    assert league.numbers(person.batch(league)) == [0]


def test_a_key_is_rotated_to_one_with_a_certificate_and_to_no_other() -> None:
    league, person = joined()
    old = person.key
    person.use_new_key()
    bare = KeyRotate(person.proof(), replaces=old.kid)
    assert league.numbers(person.state(bare, old)) == [CERTIFICATE_MISSING.number]
    assert league.numbers(
        person.state(KeyRotate(person.proof(person.certificate(None)), replaces=old.kid), old)
    ) == [CERTIFICATE.number]
    rotated = KeyRotate(person.proof(person.certificate(serial=79)), replaces=old.kid)
    assert league.numbers(person.state(rotated, old)) == [0]
    assert league.numbers(person.batch(league)) == [0]
    assert certificate_of(league.state, DID, old.kid) is None
    assert certificate_of(league.state, DID, person.key.kid) is not None


def test_a_revoked_key_signs_neither_events_nor_statements_and_comes_never_back() -> None:
    league, person = joined()
    assert league.decide(CertificateRevoke(DID, person.key.kid)) == "passed"
    assert league.numbers(person.batch(league)) == [REVOKED.number]
    renewed = KeyRotate(person.proof(person.certificate(serial=78)))
    assert league.numbers(person.state(renewed)) == [REVOKED.number]
    assert attempt(league, person.put(person.certificate(serial=79))) == REVOKED.number
    person.use_new_key()
    assert league.decide(person.put(person.certificate(serial=80))) == "passed"
    assert league.numbers(person.batch(league)) == [0]


def test_an_anchor_that_is_removed_certifies_nobody_more() -> None:
    league, person = joined()
    anchor = certificate_of(league.state, DID, person.key.kid)
    assert anchor is not None
    assert league.decide(AnchorRemove(anchor.anchor, "keep")) == "passed"
    assert league.numbers(person.batch(league)) == [0]
    another = LegalPerson(league.league, "did:elsi:VATES-2", "another")
    leaf = another.certificate(organization_identifier="VATES-2")
    assert attempt(league, another.put(leaf)) == CERTIFICATE.number


# -- seals with RSA keys -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_a_seal_with_an_rsa_key_certifies_the_key_that_it_signed(algorithm: str) -> None:
    league = GovernedLeague()
    person = SealedPerson(league.league)
    root = authority(key=new_key("3072"), begin=BEGIN, end=END)
    middle = authority("Middle", root, key=new_key("2048"), begin=BEGIN, end=END)
    assert league.decide(AnchorPut(certificate_text(root.der))) == "passed"
    change = person.sealed(rsa_seal(middle), middle, algorithm=algorithm)
    assert league.decide(change) == "passed"
    certificate = certificate_of(league.state, DID, person.key.kid)
    assert certificate is not None
    assert certificate.seal_algorithm == algorithm
    assert league.numbers(person.batch(league)) == [0]
    assert league.decide(CertificateRevoke(DID, person.key.kid)) == "passed"
    assert league.numbers(person.batch(league)) == [REVOKED.number]


def test_a_seal_certifies_nothing_that_it_did_not_sign() -> None:
    league = GovernedLeague()
    person = SealedPerson(league.league)
    assert league.decide(PUT_ROOT) == "passed"
    stranger, right = new_key("2048"), rsa_seal()
    attempts = {
        "another seal signed it": person.sealed(right, by=stranger),
        "the certificate is another seal's": person.sealed(rsa_seal(key=stranger)),
        "for another key": person.sealed(right, key=SigningKey.generate()),
        "for another league": person.sealed(right, league="f" * 64),
        "for another member": person.sealed(right, did="did:elsi:VATES-87654321"),
        "a changed byte": person.sealed(right, changed=True),
        "named as another algorithm": person.sealed(right, named="PS256"),
        "of another organization": person.sealed(rsa_seal(organization_identifier="VATES-87654321")),
        "signed by itself": person.sealed(rsa_seal(None)),
        "of an authority of the same name": person.sealed(rsa_seal(authority(begin=BEGIN, end=END))),
        "expired": person.sealed(rsa_seal(end=CLOCK.now() - timedelta(seconds=1))),
        "a certificate of a key on a curve": person.sealed(person.certificate()),
    }
    for what, change in attempts.items():
        assert attempt(league, change) == CERTIFICATE.number, what
    without = person.put(right)
    assert attempt(league, without) == CERTIFICATE.number, "no signature of the seal"
    assert league.state.member(DID) is None
