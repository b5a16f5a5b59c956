"""What members can vote on about trust, as it takes effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from hansa.core.certificates import read_certificate
from hansa.core.governance.forms import LeagueChange
from hansa.core.keys import PublicJwk, SigningKey
from hansa.core.members import Member
from hansa.core.trust.certificates import (
    ANCHORS,
    ANCHORS_MAX,
    CERTIFICATES,
    KEY_CERTIFICATE,
    TRUST_ANCHOR,
    KeyCertificate,
    TrustAnchor,
    certificate_key,
    certificate_text,
)
from hansa.core.trust.changes import (
    AnchorPut,
    AnchorRemove,
    CertificateRevoke,
    IssuerPut,
    IssuerRemove,
    PolicySet,
)
from hansa.core.trust.issuers import (
    ISSUERS_MAX,
    TRUSTED_ISSUER,
    TRUSTED_ISSUERS,
    AllowedClaim,
    CredentialGrant,
    TrustedIssuer,
)
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE, PolicyRow
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.certificates import REVOKED, check_not_revoked
from hansa.pubsub.ledger.rules.changes import describe_change, kind_of, touched_elements
from hansa.pubsub.ledger.rules.changes.elements import base_of
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay
from tests.contract.origins import Origin
from tests.support.certificates import NOW, authority, seal

TIME_MS = int(1000 * NOW.timestamp())
ROOT = authority("League Trust CA")
ANCHOR = read_certificate(ROOT.der).fingerprint
ISSUER = TrustedIssuer(
    (CredentialGrant(1, "LEARCredentialEmployee", 2),), "did:elsi:VATES-12345678", name="GoodAir"
)


def league(size: int = 4) -> tuple[Overlay, list[Member]]:
    """A state of so many validators of equal power, each with a certified key."""
    origins = [Origin(f"member-{number}") for number in range(size)]
    members = [one.member for one in origins]
    ledger = LedgerApplication(SqliteState(MEMORY))
    validators = {one.validator_key: one.power for one in members}
    ledger.init_chain(msgspec.json.encode(AppState(tuple(members))), TIME_MS, validators)
    overlay = Overlay(ledger.state, 1, TIME_MS)
    for member in members:
        certify(overlay, member.did, member.keys[0])
    return overlay, members


def certify(state: Overlay, did: str, key: PublicJwk, anchor: str = ANCHOR) -> None:
    certificate = KeyCertificate(anchor, did, key.kid, TIME_MS // 1000 + 3600, 0, TIME_MS, ("AAAA",))
    state.put_record(CERTIFICATES, certificate_key(did, key.kid), KEY_CERTIFICATE.write(certificate))


def apply(state: Overlay, change: LeagueChange) -> None:
    """All of a change or nothing, as a proposal does it."""
    upper = state.upper()
    kind_of(change).apply(upper, change)
    state.absorb(upper)


def refusal(state: Overlay, change: LeagueChange) -> RuleBroken:
    with pytest.raises(RuleBroken) as caught:
        apply(state, change)
    return caught.value


def put_root(**fields: Any) -> AnchorPut:
    return AnchorPut(certificate_text(ROOT.der), **fields)


def test_an_authority_is_accepted_renamed_and_removed() -> None:
    state, _ = league()
    assert "Accept the authority 'League Trust CA'" in describe_change(state, put_root())
    apply(state, put_root(name="CA"))
    assert "Rename" in describe_change(state, put_root(name="Another"))
    apply(state, put_root(name="Another"))
    (body,) = state.records(ANCHORS).values()
    assert TRUST_ANCHOR.read(body) == TrustAnchor(certificate_text(ROOT.der), "Another")
    apply(state, AnchorRemove(ANCHOR, "keep"))
    assert not state.records(ANCHORS)
    assert "no trust anchor" in refusal(state, AnchorRemove(ANCHOR, "keep")).message


@pytest.mark.parametrize(
    "certificate",
    [
        certificate_text(seal(ROOT).der),
        certificate_text(authority(end=NOW - timedelta(days=1)).der),
        certificate_text(authority(begin=NOW + timedelta(days=1)).der),
        "AAAA",
        "AAAAAB==",
    ],
)
def test_what_is_no_valid_authority_is_refused(certificate: str) -> None:
    state, _ = league()
    refusal(state, AnchorPut(certificate))


def test_there_are_so_many_anchors_and_no_more() -> None:
    state, _ = league()
    for number in range(ANCHORS_MAX):
        state.put_record(ANCHORS, f"{number:064}", TRUST_ANCHOR.write(TrustAnchor("AAAA")))
    assert "as many as it may have" in refusal(state, put_root()).message


def test_keys_of_a_removed_anchor_stay_or_are_revoked_as_the_members_decide() -> None:
    for keys in ("keep", "revoke"):
        state, members = league()
        apply(state, put_root())
        certify(state, members[1].did, members[1].keys[0], "f" * 64)
        certify(state, members[2].did, members[2].keys[0], "f" * 64)
        certify(state, members[3].did, members[3].keys[0], "f" * 64)
        change = AnchorRemove(ANCHOR, keys)
        text = describe_change(state, change)
        assert members[0].did in text
        assert members[1].did not in text
        apply(state, change)
        check_not_revoked(state, members[1].did, members[1].keys[0].kid)
        if keys == "keep":
            check_not_revoked(state, members[0].did, members[0].keys[0].kid)
        else:
            with pytest.raises(RuleBroken) as caught:
                check_not_revoked(state, members[0].did, members[0].keys[0].kid)
            assert caught.value.rule == REVOKED


def test_nothing_is_revoked_that_would_leave_a_league_without_votes() -> None:
    state, members = league(4)
    apply(state, put_root())
    assert "Too little voting power" in refusal(state, AnchorRemove(ANCHOR, "revoke")).message
    assert state.record(ANCHORS, ANCHOR) is not None, "nothing of a change takes effect"
    first, second = members[:2]
    apply(state, CertificateRevoke(first.did, first.keys[0].kid))
    further = CertificateRevoke(second.did, second.keys[0].kid)
    assert "Too little voting power" in refusal(state, further).message
    spare = SigningKey.generate().public
    state.put_member(msgspec.structs.replace(second, keys=(*second.keys, spare)))
    apply(state, further)


def test_only_a_certified_key_that_is_not_revoked_is_revoked() -> None:
    state, members = league()
    member = members[0]
    apply(state, CertificateRevoke(member.did, member.keys[0].kid))
    for change in (
        CertificateRevoke(member.did, member.keys[0].kid),
        CertificateRevoke(member.did, "another"),
        CertificateRevoke("did:key:nobody", member.keys[0].kid),
    ):
        assert "no key" in refusal(state, change).message


def test_an_issuer_is_trusted_changed_and_removed() -> None:
    state, _ = league()
    assert describe_change(state, IssuerPut(ISSUER)).startswith("Trust GoodAir")
    apply(state, IssuerPut(ISSUER))
    assert TRUSTED_ISSUER.read(state.records(TRUSTED_ISSUERS)[ISSUER.did]) == ISSUER
    assert describe_change(state, IssuerPut(ISSUER)).startswith("Change")
    apply(state, IssuerRemove(ISSUER.did))
    assert "no trusted issuer" in refusal(state, IssuerRemove(ISSUER.did)).message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: msgspec.structs.replace(ISSUER, credentials=(CredentialGrant(2, "x", 1),)), "until a time"),
        (lambda: msgspec.structs.replace(ISSUER, keys=2 * (SigningKey.generate().public,)), "same name"),
        (
            lambda: msgspec.structs.replace(ISSUER, keys=(PublicJwk("k", "OKP", "Ed25519", "A" * 43),)),
            "not a valid",
        ),
        (
            lambda: msgspec.structs.replace(
                ISSUER,
                credentials=(CredentialGrant(1, "x", 2, (AllowedClaim("n", "", 64 * ("v" * 256,)),)),) * 2,
            ),
            "bytes at most",
        ),
    ],
)
def test_an_issuer_that_makes_no_sense_is_refused(change: Callable[[], TrustedIssuer], reason: str) -> None:
    state, _ = league()
    assert reason in refusal(state, IssuerPut(change())).message


def test_there_are_so_many_issuers_and_no_more() -> None:
    state, _ = league()
    for number in range(ISSUERS_MAX):
        state.put_record(TRUSTED_ISSUERS, f"did:x:{number}", b"{}")
    assert "as many as it may have" in refusal(state, IssuerPut(ISSUER)).message


def test_a_table_of_policies_is_set_and_dropped() -> None:
    state, _ = league()
    table = PolicySet(
        (PolicyRow("allow", labels=("Gaia-X",), types=("ProductOffering",)), PolicyRow("refuse"))
    )
    assert "1. allow ProductOffering of all members with one of the labels Gaia-X" in describe_change(
        state, table
    )
    apply(state, table)
    assert POLICY_TABLE.read(state.records(POLICIES)[DISTRIBUTION]).rows == table.rows
    assert "2 rows" in describe_change(state, PolicySet())
    apply(state, PolicySet())
    assert not state.records(POLICIES)
    assert "neither" in refusal(state, PolicySet((PolicyRow("refuse", labels=("x",)),))).message


def test_a_proposal_is_void_when_what_it_changes_has_changed() -> None:
    state, members = league()
    changes: list[LeagueChange] = [
        put_root(),
        IssuerPut(ISSUER),
        PolicySet((PolicyRow("refuse"),)),
        CertificateRevoke(members[0].did, members[0].keys[0].kid),
    ]
    for change in changes:
        elements = touched_elements([change])
        before = base_of(state, elements)
        apply(state, change)
        assert base_of(state, elements) != before
