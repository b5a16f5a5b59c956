"""Certificates of members' keys: verified when a key is registered, looked at when it signs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, OKPKey

from hansa.core.certificates import read_certificate
from hansa.core.errors import Code, Refused
from hansa.core.governance.possession import Certification, prove_possession, verify_possession
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.core.trust.certificates import (
    ANCHORS,
    CERTIFICATES,
    KEY_CERTIFICATE,
    TRUST_ANCHOR,
    KeyCertificate,
    TrustAnchor,
    certificate_key,
    certificate_text,
)
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.histories import ledger_history
from hansa.pubsub.ledger.genesis import AppState, LedgerParams
from hansa.pubsub.ledger.results import RuleBroken
from hansa.pubsub.ledger.rules.certificates import (
    CERTIFICATE,
    CERTIFICATE_MISSING,
    REVOKED,
    certificate_of,
    check_not_revoked,
    forget_key,
    register_key,
    revoke_key,
)
from hansa.pubsub.ledger.rules.governance.history import begin_key
from hansa.pubsub.ledger.rules.rulesets import RULES_4
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger.state import Overlay
from hansa.pubsub.ledger.state_machine import Block
from tests.contract.origins import NOW as ORIGIN_NOW
from tests.contract.origins import Origin
from tests.support.certificates import NOW, ORGANIZATION, YEAR, Issued, authority, new_key, seal

DID = f"did:elsi:{ORGANIZATION}"
LEAGUE = "0" * 64
TIME_MS = int(1000 * NOW.timestamp())
ROOT = authority()


def signing_key(private: Any) -> SigningKey:
    """A member's key of a private key of `cryptography`."""
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(
        OKPKey.import_key(pem) if hasattr(private, "private_bytes_raw") else ECKey.import_key(pem)
    )


def proof(key: SigningKey, *chain: Issued, did: str = DID) -> Any:
    texts = tuple(certificate_text(one.der) for one in chain)
    compact = prove_possession(key, did, LEAGUE, "signing", 0, Certification(texts))
    return verify_possession(compact, did, LEAGUE, "signing")


def state(*anchors: Issued, time_ms: int = TIME_MS, params: LedgerParams = LedgerParams()) -> Overlay:  # noqa: B008
    """A state of block time `time_ms`, with trust anchors on the ledger."""
    ledger = LedgerApplication(SqliteState(MEMORY))
    ledger.init_chain(msgspec.json.encode(AppState((Origin("lubeck").member,), params)), TIME_MS)
    overlay = Overlay(ledger.state, 1, time_ms)
    for anchor in anchors:
        text = certificate_text(anchor.der)
        overlay.put_record(
            ANCHORS, read_certificate(anchor.der).fingerprint, TRUST_ANCHOR.write(TrustAnchor(text))
        )
    return overlay


def refusal(of: Callable[[], object]) -> RuleBroken:
    with pytest.raises(RuleBroken) as caught:
        of()
    return caught.value


@pytest.mark.parametrize("kind", ["P-256", "Ed25519"])
@pytest.mark.parametrize("authority_kind", ["P-384", "2048"])
def test_a_key_with_a_certificate_of_an_anchor_is_registered(kind: str, authority_kind: str) -> None:
    root = authority(key=new_key(authority_kind))
    middle = authority("Middle", root)
    private = new_key(kind)
    key, leaf = signing_key(private), seal(middle, key=private)
    overlay = state(ROOT, root)
    register_key(overlay, DID, proof(key, leaf, middle))
    certificate = certificate_of(overlay, DID, key.kid)
    assert certificate is not None
    assert certificate.anchor == read_certificate(root.der).fingerprint
    assert certificate.registered_ms == TIME_MS
    assert certificate.is_valid_at(TIME_MS)


def test_a_certificate_that_does_not_hold_is_refused_with_the_reason() -> None:
    private, other = new_key(), new_key()
    key = signing_key(private)
    rsa = seal(ROOT, key=new_key("2048"))
    middle = authority("Middle", ROOT)
    attempts = {
        "none of the league's trust anchors": (seal(None, key=private),),
        "did not sign it": (seal(authority(), key=private),),
        "has expired": (seal(ROOT, key=private, end=NOW - timedelta(seconds=1)),),
        "is not valid yet": (seal(ROOT, key=private, begin=NOW + timedelta(seconds=1)),),
        "not for VATES-12345678": (seal(ROOT, "VATES-12345679", key=private),),
        "for no organization": (seal(ROOT, None, key=private),),
        "is for another key": (seal(ROOT, key=other),),
        "another key than": (rsa,),
        "none of the league": (seal(middle, key=private),),
        "is not the issuer": (seal(ROOT, key=private), middle),
        "an authority": (middle,),
    }
    for reason, chain in attempts.items():
        broken = refusal(lambda chain=chain: register_key(state(ROOT), DID, proof(key, *chain)))  # type: ignore[misc]
        assert broken.rule == CERTIFICATE
        assert reason in broken.message, (reason, broken.message)


def test_an_organization_identifier_is_compared_in_every_letter() -> None:
    private = new_key()
    key = signing_key(private)
    for named in ("vates-12345678", "VATES-12345678 ", " VATES-12345678", "VATES-1234567", "VATES-123456780"):
        leaf = seal(ROOT, named, key=private)
        assert refusal(lambda leaf=leaf: register_key(state(ROOT), DID, proof(key, leaf))).rule == CERTIFICATE  # type: ignore[misc]


def test_other_kinds_of_dids_have_no_certificates() -> None:
    private = new_key()
    key = signing_key(private)
    did = "did:web:VATES-12345678"
    broken = refusal(lambda: register_key(state(ROOT), did, proof(key, seal(ROOT, key=private), did=did)))
    assert "only such have certificates" in broken.message
    overlay = state(ROOT)
    register_key(overlay, did, proof(key, did=did))
    assert certificate_of(overlay, did, key.kid) is None


def test_a_text_that_is_no_base64_of_der_is_refused() -> None:
    key = signing_key(new_key())
    for text in ("AAAA", "AAAAAB==", "AAAAA", "AAAA=", "TUlJ"):
        compact = prove_possession(key, DID, LEAGUE, "signing", 0, Certification((text,)))
        proved = verify_possession(compact, DID, LEAGUE, "signing")
        broken = refusal(lambda proved=proved: register_key(state(ROOT), DID, proved))  # type: ignore[misc]
        assert broken.rule == CERTIFICATE


def test_the_league_decides_whether_a_legal_person_needs_a_certificate() -> None:
    bare = proof(signing_key(new_key()))
    assert refusal(lambda: register_key(state(ROOT), DID, bare)).rule == CERTIFICATE_MISSING
    free = state(ROOT, params=LedgerParams(elsi_certificate_required=0))
    register_key(free, DID, bare)
    assert not free.records(CERTIFICATES)


def test_a_certificate_is_renewed_and_not_dropped() -> None:
    private = new_key()
    key = signing_key(private)
    overlay = state(ROOT, params=LedgerParams(elsi_certificate_required=0))
    register_key(overlay, DID, proof(key, seal(ROOT, key=private)))
    before = certificate_of(overlay, DID, key.kid)
    register_key(overlay, DID, proof(key, seal(ROOT, key=private, end=NOW + YEAR / 2, serial=78)))
    after = certificate_of(overlay, DID, key.kid)
    assert before is not None
    assert after is not None
    assert before.not_after_s > after.not_after_s
    assert refusal(lambda: register_key(overlay, DID, proof(key))).rule == CERTIFICATE


def test_a_revoked_key_stays_revoked() -> None:
    private = new_key()
    key = signing_key(private)
    overlay = state(ROOT)
    register_key(overlay, DID, proof(key, seal(ROOT, key=private)))
    certificate = certificate_of(overlay, DID, key.kid)
    assert certificate is not None
    check_not_revoked(overlay, DID, key.kid)
    begin_key(overlay, DID, key.public)
    revoke_key(overlay, certificate)
    assert ledger_history(overlay.records("history")).key(DID, key.kid, 1) is None
    assert refusal(lambda: check_not_revoked(overlay, DID, key.kid)).rule == REVOKED
    renewed = proof(key, seal(ROOT, key=private, serial=78))
    assert refusal(lambda: register_key(overlay, DID, renewed)).rule == REVOKED
    forget_key(overlay, DID, key.kid)
    assert refusal(lambda: register_key(overlay, DID, renewed)).rule == REVOKED


def test_a_key_that_the_registry_has_no_more_has_no_certificate() -> None:
    private = new_key()
    key = signing_key(private)
    overlay = state(ROOT)
    register_key(overlay, DID, proof(key, seal(ROOT, key=private)))
    forget_key(overlay, DID, key.kid)
    assert overlay.record(CERTIFICATES, certificate_key(DID, key.kid)) is None


class CertifiedLedger:
    """A ledger of one member with a certified key, and blocks at times that are named."""

    def __init__(self, *, valid_s: int = 3600) -> None:
        self.origin = Origin("lubeck")
        key = self.origin.key
        self.time_ms = int(1000 * ORIGIN_NOW.timestamp())
        self.certificate = KeyCertificate(
            anchor="0" * 64,
            did=self.origin.did,
            kid=key.kid,
            not_after_s=self.time_ms // 1000 + valid_s,
            not_before_s=0,
            registered_ms=self.time_ms,
            x5c=("AAAA",),
        )
        self.pending: list[KeyCertificate] = [self.certificate]
        rules = msgspec.structs.replace(RULES_4, begin_block=(*RULES_4.begin_block, self._put))
        self.application = LedgerApplication(SqliteState(MEMORY), {rules.name: rules})
        self.application.init_chain(msgspec.json.encode(AppState((self.origin.member,))), self.time_ms)
        self.commit(0)

    def _put(self, state: Overlay) -> None:
        for one in self.pending:
            state.put_record(CERTIFICATES, certificate_key(one.did, one.kid), KEY_CERTIFICATE.write(one))

    def commit(self, after_s: int, *transactions: bytes) -> list[Refused | None]:
        """A block so many seconds after the begin."""
        block = Block(self.application.state.head.height + 1, self.time_ms + 1000 * after_s, transactions)
        effects = self.application.finalize_block(block)
        self.application.commit()
        self.pending.clear()
        return list(effects.refusals)


def test_a_key_signs_events_until_its_certificate_expires_by_block_time() -> None:
    ledger = CertifiedLedger()
    origin = ledger.origin
    assert ledger.commit(3600, origin.batch(origin.event("one"))) == [None]
    late = origin.batch(origin.event("two"))
    (refused,) = ledger.commit(3601, late)
    assert refused is not None
    assert refused.code is Code.CERTIFICATE_INVALID
    assert "expired" in refused.message
    ledger.pending.append(
        msgspec.structs.replace(ledger.certificate, not_after_s=ledger.time_ms // 1000 + 7200)
    )
    assert ledger.commit(3602, late) == [None]


def test_a_revoked_key_signs_no_events_in_any_method_of_the_engine() -> None:
    ledger = CertifiedLedger()
    origin = ledger.origin
    ledger.pending.append(msgspec.structs.replace(ledger.certificate, revoked_ms=ledger.time_ms))
    ledger.commit(1)
    raw = origin.batch(origin.event("one"))
    with pytest.raises(RuleBroken) as caught:
        ledger.application.check_tx(raw, ledger.time_ms + 2000)
    assert caught.value.rule == REVOKED
    assert ledger.application.prepare_proposal([raw], ledger.time_ms + 2000, 400_000) == []
    (refused,) = ledger.commit(2, raw)
    assert isinstance(refused, RuleBroken)
    assert refused.rule == REVOKED


def test_another_key_of_the_member_is_not_concerned() -> None:
    ledger = CertifiedLedger()
    second = SigningKey.generate()
    origin = ledger.origin
    member = Member(origin.did, "lubeck", origin.endpoint, (origin.key.public, second.public), 1)
    overlay = Overlay(ledger.application.state, 2, ledger.time_ms)
    overlay.put_member(member)
    certificate = certificate_of(overlay, origin.did, origin.key.kid)
    assert certificate is not None
    revoke_key(overlay, certificate)
    check_not_revoked(overlay, origin.did, second.kid)
