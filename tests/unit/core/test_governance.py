"""What is signed in governance: one byte string for each value, one purpose for each signature."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.closed_structs import StructForm
from hansa.core.errors import Refused
from hansa.core.governance.changes import (
    CHANGE_FORMS,
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.elements import BaseElement
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import (
    CANDIDACY,
    Candidacy,
    node_id_of,
    prove_possession,
    validator_key_of,
    verify_candidacy,
    verify_possession,
)
from hansa.core.governance.proposals import PROPOSAL, VOTE, proposal_hash, read_proposal, read_vote
from hansa.core.governance.signer import GovernanceSigner
from hansa.core.governance.statements import (
    STATEMENT,
    AgreementSet,
    EndpointSet,
    KeyRevoke,
    KeyRotate,
    Leave,
    MemberAction,
    NodesSet,
    UpgradeReady,
    read_statement,
)
from hansa.core.jws import read_compact
from hansa.core.keys import SigningKey

LEAGUE, OTHER_LEAGUE = "a" * 64, "b" * 64
DID = "did:web:lubeck.example"
KEY = SigningKey.generate()


SIGNER = GovernanceSigner(KEY, DID, LEAGUE, ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC)))

dids = st.from_regex("did:web:[a-z]{1,9}", fullmatch=True)
proofs = st.from_regex("[A-Za-z0-9_-]{1,9}[.][A-Za-z0-9_-]{1,9}[.][A-Za-z0-9_-]{1,9}", fullmatch=True)
prefixes = st.lists(st.from_regex("urn:[a-z]{1,5}:", fullmatch=True), max_size=3).map(tuple)
changes: st.SearchStrategy[LeagueChange] = st.one_of(
    st.builds(MemberPut, proofs, st.integers(0, 9), prefixes),
    st.builds(MemberStatusChange, dids, st.sampled_from(["active", "removed", "suspended"])),
    st.builds(Suspension, dids, st.integers(1, 9)),
    st.builds(ValidatorPower, dids, st.integers(0, 9), st.one_of(st.just(""), proofs)),
    st.builds(ParamSet, st.from_regex("[a-z_]{1,9}", fullmatch=True), st.integers(0, 2**53 - 1)),
)
actions: st.SearchStrategy[MemberAction] = st.one_of(
    st.builds(KeyRotate, proofs, st.integers(0, 9), st.one_of(st.just(""), st.just("k"))),
    st.builds(KeyRevoke, st.just("k")),
    st.builds(AgreementSet, st.just("A" * 43)),
    st.builds(EndpointSet, st.just("https://lubeck.example")),
    st.builds(NodesSet, st.lists(proofs, max_size=3).map(tuple)),
    st.just(Leave()),
    st.builds(UpgradeReady, st.just("hansa-ledger/5"), st.just("1.0.0")),
)
bases = st.lists(
    st.builds(
        BaseElement, st.from_regex("[a-z]{1,5}/[a-z:]{1,5}", fullmatch=True), st.sampled_from(["", "c" * 64])
    ),
    min_size=1,
    max_size=4,
)


def propose(change_list: list[LeagueChange], base: list[BaseElement], note: str = "") -> str:
    return SIGNER.propose(
        change_list,
        base,
        seq=1,
        expires_height=9,
        expires_time_ms=10,
        entropy=bytes,
        note=note,
    )


@given(st.lists(changes, min_size=1, max_size=4), bases, st.text(max_size=9).filter(str.isprintable))
def test_a_proposal_has_one_byte_string(
    change_list: list[LeagueChange], base: list[BaseElement], note: str
) -> None:
    proposal, jws = read_proposal(propose(change_list, base, note))
    assert list(proposal.changes) == change_list
    assert list(proposal.base) == sorted(base)
    assert PROPOSAL.form.write(proposal) == jws.payload
    assert KEY.verifying_key().verify(jws) == jws.payload


@given(actions)
def test_a_statement_has_one_byte_string(action: MemberAction) -> None:
    statement, jws = read_statement(SIGNER.state(action, seq=3))
    assert statement.action == action
    assert STATEMENT.form.write(statement) == jws.payload


@given(st.binary(max_size=300))
def test_what_any_form_reads_it_writes_the_same(raw: bytes) -> None:
    forms: tuple[StructForm[Any], ...] = (
        PROPOSAL.form,
        VOTE.form,
        STATEMENT.form,
        CANDIDACY.form,
        *CHANGE_FORMS.values(),
    )
    for form in forms:
        try:
            value: Any = form.read(raw)
        except Refused:
            continue
        assert form.write(value) == raw


@given(st.lists(changes, min_size=1, max_size=2), bases, st.data())
def test_a_changed_payload_is_another_one_or_none(
    change_list: list[LeagueChange], base: list[BaseElement], data: st.DataObject
) -> None:
    raw = bytearray(read_proposal(propose(change_list, base))[1].payload)
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        value = PROPOSAL.form.read(bytes(raw))
    except Refused:
        return
    assert PROPOSAL.form.write(value) == bytes(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"action":{"action":"leave"},"league":"%b","member":"did:web:a"}' % (b"a" * 64),
        b'{"action":{"action":"quit"},"league":"%b","member":"did:web:a","seq":1}' % (b"a" * 64),
        b'{"action":{"action":"leave","kid":"x"},"league":"%b","member":"did:web:a","seq":1}' % (b"a" * 64),
        b'{"action":{"action":"key.rotate","overlap_s":0,"proof":"a"},"league":"%b","member":"did:web:a","seq":1}'
        % (b"a" * 64),
        b'{"action":{"action":"nodes.set","nodes":[]},"league":"%b","member":"did:web:a","seq":1}'
        % (b"a" * 64),
    ],
)
def test_a_statement_outside_the_union_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        STATEMENT.form.read(raw)


def test_a_signature_for_one_purpose_passes_for_no_other() -> None:
    vote, statement = SIGNER.vote("c" * 64, "yes", seq=1), SIGNER.state(Leave(), seq=2)
    assert read_vote(vote)[0].choice == "yes"
    for read, compact in ((read_vote, statement), (read_statement, vote), (read_proposal, vote)):
        with pytest.raises(Refused):
            read(compact)
    assert proposal_hash(vote) != proposal_hash(statement)


def test_a_proof_of_possession_is_for_one_member_league_and_use() -> None:
    node = SigningKey.generate("Ed25519")
    proof = prove_possession(node, DID, LEAGUE, "node", 1)
    key = verify_possession(proof, DID, LEAGUE, "node").key
    assert (len(node_id_of(key)), len(validator_key_of(key))) == (40, 64)
    for did, league, use in (
        ("did:web:other", LEAGUE, "node"),
        (DID, OTHER_LEAGUE, "node"),
        (DID, LEAGUE, "validator"),
    ):
        with pytest.raises(Refused):
            verify_possession(proof, did, league, use)  # type: ignore[arg-type]


def test_nobody_proves_possession_of_a_key_that_is_anothers() -> None:
    victim, thief = SigningKey.generate(), SigningKey.generate()
    header, payload, _ = prove_possession(victim, DID, LEAGUE, "signing", 1).split(".")
    signature = prove_possession(thief, DID, LEAGUE, "signing", 1).rsplit(".", 1)[1]
    with pytest.raises(Refused):
        verify_possession(f"{header}.{payload}.{signature}", DID, LEAGUE, "signing")
    renamed = SigningKey(thief._key, victim.kid)
    forged = prove_possession(renamed, DID, LEAGUE, "signing", 1).split(".")
    forged[1] = payload
    with pytest.raises(Refused):
        verify_possession(".".join(forged), DID, LEAGUE, "signing")


def test_an_engine_has_an_ed25519_key() -> None:
    with pytest.raises(Refused):
        verify_possession(prove_possession(KEY, DID, LEAGUE, "validator", 1), DID, LEAGUE, "validator")


def test_a_candidacy_is_signed_by_its_first_key() -> None:
    first, second = (prove_possession(key, DID, LEAGUE, "signing", 1) for key in (KEY, SigningKey.generate()))
    candidacy = Candidacy(DID, "https://lubeck.example", (first, second), LEAGUE, "lubeck")
    assert verify_candidacy(CANDIDACY.sign(candidacy, KEY, 1), LEAGUE) == candidacy
    for compact, league in (
        (CANDIDACY.sign(candidacy, SigningKey.generate(), 1), LEAGUE),
        (CANDIDACY.sign(candidacy, KEY, 1), OTHER_LEAGUE),
    ):
        with pytest.raises(Refused):
            verify_candidacy(compact, league)


def test_the_header_says_what_is_signed() -> None:
    compact = SIGNER.vote("c" * 64, "no", seq=1)
    header = base64.urlsafe_b64decode(compact.split(".")[0] + "==")
    assert b'"cty":"application/vnd.hansa.vote+json"' in header
    assert read_compact(compact, VOTE.header).kid == KEY.kid
