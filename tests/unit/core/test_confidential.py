"""Sealed events: readable for their recipients, and nothing at all to anybody else."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.canonical import hashlink
from hansa.core.confidential import sealing
from hansa.core.confidential.agreement import AgreementKey, PairwiseSecrets
from hansa.core.confidential.sealing import (
    SLOTS,
    EventContext,
    Notice,
    OpenedEvent,
    SealedEvent,
    body_of,
    opened,
    seal,
    sender_of,
)
from hansa.core.errors import Code, Fatal, HansaError, Refused
from hansa.core.members import AGREEMENT_KEY, Member, country_of
from hansa.core.parties import parties_of, read_party_operators

LEAGUE = "hansa-test"
ISSUER = "did:key:zIssuer"
BODY = b'{"id":"urn:ngsi-ld:product-order:1","price":42}'


class Party:
    """A member that seals and opens."""

    def __init__(self, name: str, league: str = LEAGUE) -> None:
        self.did = f"did:key:z{name}"
        self.entropy = random.Random(name).randbytes
        self.key = AgreementKey.generate(self.entropy)
        self.secrets = PairwiseSecrets(league)

    def seal(self, body: bytes, *recipients: Party, key: str = "ab" * 32, **fields: object) -> SealedEvent:
        notice = Notice(
            *(b"\1" * 32, "ProductOrder", 7, hashlib.sha256(body).digest() if body else b"\0" * 32),
            is_withdrawal=not body,
        )
        notice = msgspec.structs.replace(notice, **fields)
        secrets = [self.secrets.of_sender(self.key, self.did, one.did, one.key.public) for one in recipients]
        context = EventContext(LEAGUE, self.did, key)
        return seal(notice, body, self.key, [one for one in secrets if one], context, self.entropy)

    def open(
        self, sealed: str, issuer: str, key: str = "ab" * 32, did: str = "", league: str = LEAGUE
    ) -> OpenedEvent | None:
        secret = self.secrets.of_recipient(self.key, issuer, did or self.did, sender_of(sealed))
        return opened(sealed, [secret] if secret else [], EventContext(league, issuer, key))


ORIGIN = Party("origin")
PARTIES = [Party(f"party-{n}") for n in range(6)]


@given(st.integers(1, SLOTS), st.binary(min_size=1, max_size=3000), st.booleans())
def test_recipients_read_what_was_sealed_and_others_nothing(count: int, body: bytes, has_nonce: bool) -> None:
    nonce = b"\5" * 16 if has_nonce else None
    sealed = ORIGIN.seal(body, *PARTIES[:count], nonce=nonce)
    for party in PARTIES[:count]:
        event = party.open(sealed.sealed, ORIGIN.did)
        assert event is not None
        assert (event.notice.type, event.notice.version, event.notice.nonce) == ("ProductOrder", 7, nonce)
        context = EventContext(LEAGUE, ORIGIN.did, "ab" * 32)
        assert body_of(sealed.part, event, sealed.hashlink, context) == body
    for stranger in PARTIES[count:]:
        assert stranger.open(sealed.sealed, ORIGIN.did) is None


def test_what_is_copied_into_another_event_league_or_name_is_for_nobody() -> None:
    party = PARTIES[0]
    sealed = ORIGIN.seal(BODY, party).sealed
    assert party.open(sealed, ORIGIN.did) is not None
    assert party.open(sealed, ORIGIN.did, key="cd" * 32) is None
    assert party.open(sealed, "did:key:zThief") is None
    assert party.open(sealed, ORIGIN.did, did="did:key:zOther") is None, (
        "a key that another member registered"
    )
    assert party.open(sealed, ORIGIN.did, league="another") is None


def test_no_two_events_have_anything_in_common_but_the_senders_key() -> None:
    party = PARTIES[0]
    seen: set[bytes] = set()
    for n in range(200):
        raw = _decoded(ORIGIN.seal(BODY, party, key=f"{n:064x}").sealed)
        pieces = {raw[at : at + 16] for at in range(32, len(raw) - 16, 16)}
        assert seen.isdisjoint(pieces), "nothing repeats, though all of them say the same to the same party"
        seen |= pieces


def test_the_number_of_recipients_and_the_content_do_not_show() -> None:
    sizes = {
        len(ORIGIN.seal(body, *PARTIES[:count], type=name).sealed)
        for count in range(1, SLOTS + 1)
        for body in (b"x", BODY, b"y" * 100_000, b"")
        for name in ("Quote", "AppliedCustomerBillingRate")
    }
    assert sizes == {536}
    parts = {len(ORIGIN.seal(body, PARTIES[0]).part) for body in (b"x", BODY, b"y" * 1000)}
    assert len(parts) == 1
    assert len(ORIGIN.seal(b"z" * 1_048_576, PARTIES[0]).part) == 2_097_152 + 16


def test_slots_are_in_an_order_that_says_nothing() -> None:
    places = []
    for n in range(64):
        raw = _decoded(ORIGIN.seal(BODY, PARTIES[0], key=f"{n:064x}").sealed)
        slots = [raw[32 + 48 * at : 80 + 48 * at] for at in range(SLOTS)]
        assert slots == sorted(slots)
        only = [at for at in range(SLOTS) if PARTIES[0].open(_alone(raw, at), ORIGIN.did, f"{n:064x}")]
        places += only
    assert {places.count(at) > 5 for at in range(SLOTS)} == {True}


def _alone(raw: bytes, at: int) -> str:
    """A sealed text with one of its slots alone."""
    slots = b"".join(raw[32 + 48 * n : 80 + 48 * n] if n == at else bytes(48) for n in range(SLOTS))
    return _encoded(raw[:32] + slots + raw[32 + 48 * SLOTS :])


def test_the_bytes_cannot_be_guessed() -> None:
    """Who knows all of an order but whether it exists finds no hash to compare it with."""
    first, second = (ORIGIN.seal(BODY, PARTIES[0], key=key) for key in ("ab" * 32, "cd" * 32))
    assert hashlink(BODY) not in {first.hashlink, second.hashlink}
    assert first.hashlink != second.hashlink
    raw = _decoded(first.sealed)
    assert hashlib.sha256(BODY).digest() not in raw


def test_other_bytes_than_those_announced_are_refused() -> None:
    sealed, other = (ORIGIN.seal(body, PARTIES[0]) for body in (BODY, b'{"price":43}'))
    event = PARTIES[0].open(sealed.sealed, ORIGIN.did)
    assert event is not None
    context = EventContext(LEAGUE, ORIGIN.did, "ab" * 32)
    for part, link in (
        (other.part, sealed.hashlink),
        (sealed.part[:-1] + b"x", sealed.hashlink),
        (b"", sealed.hashlink),
        (sealed.part, other.hashlink),
    ):
        with pytest.raises(Refused) as refusal:
            body_of(part, event, link, context)
        assert refusal.value.code is Code.HASH_MISMATCH


@pytest.mark.parametrize("size_bytes", range(5))
def test_a_part_that_its_issuer_made_too_short_is_refused(
    monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    monkeypatch.setattr(sealing, "_padded", lambda _: b"\0" * size_bytes)
    sealed = ORIGIN.seal(BODY, PARTIES[0])
    event = PARTIES[0].open(sealed.sealed, ORIGIN.did)
    assert event is not None
    with pytest.raises(Refused) as refusal:
        body_of(sealed.part, event, sealed.hashlink, EventContext(LEAGUE, ORIGIN.did, "ab" * 32))
    assert refusal.value.code is Code.HASH_MISMATCH


def test_recipients_cannot_be_shown_different_bytes_under_one_event() -> None:
    """One hashlink has one content key: a notice with another digest contradicts it."""
    sealed = ORIGIN.seal(BODY, PARTIES[0], digest=hashlib.sha256(b"other").digest())
    event = PARTIES[0].open(sealed.sealed, ORIGIN.did)
    assert event is not None
    with pytest.raises(HansaError):
        body_of(sealed.part, event, sealed.hashlink, EventContext(LEAGUE, ORIGIN.did, "ab" * 32))


@given(st.integers(0, 401), st.integers(1, 255))
def test_a_changed_seal_is_for_nobody_or_refused(at: int, change: int) -> None:
    raw = bytearray(_decoded(ORIGIN.seal(BODY, PARTIES[0]).sealed))
    before = PARTIES[0].open(_encoded(bytes(raw)), ORIGIN.did)
    raw[at] ^= change
    event = None
    with contextlib.suppress(Refused):
        event = PARTIES[0].open(_encoded(bytes(raw)), ORIGIN.did)
    assert event is None or event == before, "a slot of somebody else was changed"


def test_keys_that_agree_with_every_key_are_of_no_use() -> None:
    for weak in (bytes(32), b"\1" + bytes(31)):
        assert ORIGIN.secrets.of_recipient(ORIGIN.key, ISSUER, ORIGIN.did, weak) is None
    assert ORIGIN.secrets.of_sender(ORIGIN.key, ISSUER, "did:key:zWeak", "A" * 43) is None


def test_a_key_is_read_from_its_file_and_from_nothing_else(tmp_path: Path) -> None:
    key, path = AgreementKey.generate(), tmp_path / "agreement.jwk"
    path.write_bytes(key.private_document())
    assert AgreementKey.load(path).public == key.public
    AGREEMENT_KEY.render(key.public)
    other = AgreementKey.generate().public
    for wrong in (
        b"",
        b"{}",
        key.private_document().replace(b"X25519", b"Ed25519"),
        key.private_document().replace(key.public.encode(), other.encode()),
    ):
        path.write_bytes(wrong)
        with pytest.raises(Fatal, match="agreement"):
            AgreementKey.load(path)


def test_a_country_is_what_the_members_decided_or_a_did_elsi_says() -> None:
    member = Member("did:elsi:VATES-B60645900", "market", "https://market.example", (), 1)
    assert country_of(member) == "ES"
    assert country_of(msgspec.structs.replace(member, country="FR")) == "FR"
    assert country_of(msgspec.structs.replace(member, did="did:key:zDn")) is None
    assert country_of(msgspec.structs.replace(member, did="did:elsi:NT:SE-123")) == "SE"


def test_parties_are_those_with_a_role() -> None:
    body = msgspec.json.encode(
        {
            "relatedParty": [
                {"role": "Seller", "name": "did:elsi:VATES-B60645900", "id": "urn:ngsi-ld:organization:1"},
                {"role": "buyerOperator", "id": "did:key:zBuyer", "name": "Buyer"},
                {"role": "Seller Operator", "partyOrPartyRole": {"id": "did:key:zSeller"}},
                {"role": "Buyer", "name": "Ada"},
                {"role": "Author", "name": "did:key:zAuthor"},
                "did:key:zText",
                {"name": "did:key:zNoRole"},
            ]
        }
    )
    assert parties_of(body) == [["did:elsi:VATES-B60645900"], ["did:key:zBuyer"], ["did:key:zSeller"], []]
    assert parties_of(b'{"relatedParty":null}') == []
    assert parties_of(b"[]") == []


def test_operators_of_parties_are_read_and_checked() -> None:
    assert read_party_operators(["did:a:1 did:b:2"]) == {"did:a:1": "did:b:2"}
    for wrong in (["did:a:1"], ["did:a:1 x"], ["did:a:1 did:b:2", "did:a:1 did:b:3"]):
        with pytest.raises(Refused):
            read_party_operators(wrong)


def _decoded(sealed: str) -> bytes:
    return base64.urlsafe_b64decode(sealed)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()
