"""Receipts prove events to whoever knows the genesis; two verifiers refuse any other byte in them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hansa.core.errors import Code, Refused
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS
from hansa.pubsub.light.receipts import VerifiedReceipt, is_of_issuer, verify_receipt
from tests.conftest import CHECKOUT
from tests.support import second_verifier
from tests.support.light_chain import Signer
from tests.support.proved_league import ProvedLeague

pytestmark = pytest.mark.anyio


def small_league() -> ProvedLeague:
    league = ProvedLeague()
    league.commit(league.lubeck, *[league.lubeck.event(f"offering-{number}") for number in range(5)])
    league.commit(league.bergen, *[league.bergen.event(f"offering-{number}") for number in range(6, 9)])
    league.commit(league.lubeck, league.lubeck.event("offering-2", "AttributeValueChange"))
    return league


def verified(league: ProvedLeague, raw: bytes) -> VerifiedReceipt:
    second_verifier.verify(raw, json.loads(league.genesis))
    return verify_receipt(raw, league.trusted, league.keys)


def refusals(league: ProvedLeague, raw: bytes) -> tuple[str, str]:
    """Why either verifier refuses a receipt."""
    with pytest.raises(Refused) as first:
        verify_receipt(raw, league.trusted, league.keys)
    assert first.value.code is Code.PROOF_INVALID
    with pytest.raises(second_verifier.Wrong) as second:
        second_verifier.verify(raw, json.loads(league.genesis))
    return first.value.message, str(second.value)


def sealed(fields: dict[str, Any]) -> bytes:
    """A receipt of fields that somebody has changed, with the digest that belongs to them."""
    rest = {name: value for name, value in fields.items() if name != "digest"}
    digest = hashlib.sha256(json.dumps(rest, **second_verifier.CANONICAL).encode()).digest()
    whole = {**rest, "digest": base64.urlsafe_b64encode(digest).rstrip(b"=").decode()}
    return json.dumps(whole, **second_verifier.CANONICAL).encode()


async def test_a_receipt_proves_the_last_event_of_an_entity() -> None:
    league = small_league()
    key = league.lubeck.key_of("offering-2")
    raw = await league.maker.of_entity("offering-2")
    proved = verified(league, raw)
    assert [one.position for one in proved.events] == [9]
    assert proved.events[0].event.entity.key == key
    assert proved.events[0].event.entity.version == 2
    assert proved.events[0].is_signature_verified
    assert (proved.signers, proved.validators, proved.steps) == (4, 4, 1)
    assert len(raw) < 4500


async def test_a_receipt_is_made_of_a_ledger_key_and_of_an_event_id() -> None:
    league = small_league()
    by_key = await league.maker.of_entity(league.bergen.key_of("offering-7"))
    event = verified(league, by_key).events[0].event
    assert event.issuer == league.bergen.did
    assert await league.maker.of_entity(event.id) == by_key


async def test_what_the_ledger_does_not_have_has_no_receipt() -> None:
    league = small_league()
    for name in ("nothing", "f" * 64, "01930000-0000-7000-8000-000000000000"):
        with pytest.raises(Refused) as refused:
            await league.maker.of_entity(name)
        assert refused.value.code is Code.NOT_FOUND


async def test_the_latest_version_is_proved_with_the_claims() -> None:
    league = small_league()
    proved = verified(league, await league.maker.of_entity("offering-2", is_latest=True))
    assert proved.key == proved.events[0].event.entity.key
    claim = next(one for one in proved.claims if is_of_issuer(one, league.lubeck.did))
    assert (claim.claim.version, claim.claim.last_position) == (2, proved.events[0].position)


async def test_absence_is_proved() -> None:
    league = small_league()
    proved = verified(league, await league.maker.of_absence("ab" * 32))
    assert (proved.key, proved.claims, proved.events) == ("ab" * 32, (), ())


async def test_the_history_of_an_entity_is_one_receipt() -> None:
    league = small_league()
    proved = verified(league, await league.maker.of_history("offering-2"))
    assert [one.event.entity.version for one in proved.events] == [1, 2]
    assert proved.events[1].event.previous == proved.events[0].event.hashlink
    later = verified(league, await league.maker.of_history("offering-2", after_version=1))
    assert [one.event.entity.version for one in later.events] == [2]


async def test_trust_steps_lead_over_changes_of_the_validators() -> None:
    """Ten times a quarter of the validators is exchanged, so that nobody of the genesis is left."""
    league = ProvedLeague()
    signers = list(league.signers)
    for number in range(10):
        signers = [*signers[1:], Signer(f"new {number}")]
        league.commit(league.lubeck, league.lubeck.event(f"at-{number}"), next_signers=signers)
        league.skip(3)
    raw = await league.maker.of_entity("at-9")
    proved = verified(league, raw)
    assert 3 <= proved.steps <= 11
    fields = json.loads(raw)
    for number in range(len(fields["steps"])):
        steps = [one for at, one in enumerate(fields["steps"]) if at != number]
        without = {**fields, "steps": steps} if steps else {k: v for k, v in fields.items() if k != "steps"}
        refusals(league, sealed(without))


async def test_a_known_height_takes_the_place_of_the_genesis() -> None:
    league = small_league()
    await league.capture.look()
    raw = await league.maker.of_entity("offering-2", known_height=2)
    pinned = league.engine.blocks[2]
    strangers = ProvedLeague([Signer(f"x{number}") for number in range(4)])
    assert verify_receipt(raw, strangers.trusted, strangers.keys, (2, pinned.header.hash)).events
    with pytest.raises(Refused, match="another than the one that is trusted"):
        verify_receipt(raw, league.trusted, league.keys, (2, bytes(32)))
    with pytest.raises(Refused, match="does not lead over height 3"):
        verify_receipt(raw, league.trusted, league.keys, (3, pinned.header.hash))


async def test_a_receipt_of_another_league_is_refused_and_says_so() -> None:
    league, other = small_league(), ProvedLeague(chain_id="hansa-other")
    raw = await league.maker.of_entity("offering-2")
    assert "of the league 'hansa-test'" in refusals(other, raw)[0]
    same_name = ProvedLeague([Signer(f"x{number}") for number in range(4)])
    assert "Too few of the validators" in refusals(same_name, raw)[0]


async def test_parts_of_two_receipts_do_not_mix() -> None:
    league = small_league()
    one = json.loads(await league.maker.of_entity("offering-2", is_latest=True))
    other = json.loads(await league.maker.of_entity(league.bergen.key_of("offering-7"), is_latest=True))
    for name in ("events", "claims"):
        refusals(league, sealed({**one, name: other[name]}))
    league.commit(league.lubeck, league.lubeck.event("later"))
    later = json.loads(await league.maker.of_entity("later", is_latest=True))
    for name in ("events", "claims", "block", "state", "size"):
        mixed = {**one, name: later[name]}
        refusals(league, sealed(mixed))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[" * 200_000,
        b'{"block":' * 100_000,
        b"\xff\xfe",
        b"null",
        b'"' + b"a" * 10_000_000 + b'"',
    ],
)
def test_what_is_no_receipt_is_refused(raw: bytes) -> None:
    refusals(ProvedLeague(), raw)


def test_the_second_verifier_and_the_page_know_the_sections_of_every_rule_set() -> None:
    numbers = {name: len(sections) for name, sections in SECTIONS.items()}
    assert numbers == second_verifier.SECTIONS
    page = (CHECKOUT / "docs/integrators/receipts.md").read_text(encoding="utf-8")
    assert all(f"`{name}` has {number}" in page for name, number in numbers.items())


class Samples:
    """Receipts of each kind, made once."""

    league: ProvedLeague | None = None
    raws: list[bytes]


async def samples() -> tuple[ProvedLeague, list[bytes]]:
    if Samples.league is None:
        league = Samples.league = small_league()
        Samples.raws = [
            await league.maker.of_entity("offering-2", is_latest=True),
            await league.maker.of_history(league.bergen.key_of("offering-7")),
            await league.maker.of_absence("ab" * 32),
        ]
    return Samples.league, Samples.raws


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2), st.integers(0, 10**6), st.integers(1, 255))
async def test_any_changed_byte_is_refused_by_both(kind: int, at: int, change: int) -> None:
    league, raws = await samples()
    raw = bytearray(raws[kind])
    raw[at % len(raw)] ^= change
    refusals(league, bytes(raw))


async def test_a_truncated_or_extended_receipt_is_refused() -> None:
    league, raws = await samples()
    for raw in raws:
        for cut in (1, len(raw) // 2, len(raw) - 1):
            refusals(league, raw[:cut])
        refusals(league, raw + b"\n")
        refusals(league, b" " + raw)


Change = Callable[[dict[str, Any]], None]


def _drop(fields: dict[str, Any]) -> None:
    fields["block"]["commit"]["votes"] = [{"flag": 1}, {"flag": 1}, *fields["block"]["commit"]["votes"][2:]]


def _repeat(fields: dict[str, Any]) -> None:
    fields["block"]["commit"]["votes"] = [fields["block"]["commit"]["votes"][0]] * 4


def _nil(fields: dict[str, Any]) -> None:
    for vote in fields["block"]["commit"]["votes"]:
        vote["flag"] = 3


def _absent(fields: dict[str, Any]) -> None:
    fields["block"]["commit"]["votes"][3] = {"flag": 1, "signature": "A" * 86, "time": "0.000000000"}


def _twice(fields: dict[str, Any]) -> None:
    fields["block"]["validators"] = [fields["block"]["validators"][0]] * 4


def _power(fields: dict[str, Any]) -> None:
    fields["block"]["validators"][0]["power"] = 10_000


def _extra(fields: dict[str, Any]) -> None:
    fields["note"] = "trust me"


def _no_event(fields: dict[str, Any]) -> None:
    del fields["events"]


def _key(fields: dict[str, Any]) -> None:
    fields["keys"] = [{"crv": "Ed25519", "kid": "A" * 43, "kty": "OKP", "x": "A" * 43}]


def _empty_steps(fields: dict[str, Any]) -> None:
    fields["steps"] = []


@pytest.mark.parametrize(
    "change", [_drop, _repeat, _nil, _absent, _twice, _power, _extra, _no_event, _key, _empty_steps]
)
async def test_a_forged_receipt_is_refused_by_both(change: Change) -> None:
    league, raws = await samples()
    fields = json.loads(raws[0])
    change(fields)
    refusals(league, sealed(fields))


async def test_one_vote_less_than_all_is_another_receipt_that_holds() -> None:
    """What more than 2/3 sign is proved, whoever of them has signed."""
    league, raws = await samples()
    fields = json.loads(raws[0])
    fields["block"]["commit"]["votes"][3] = {"flag": 1}
    raw = sealed(fields)
    assert verified(league, raw).signers == 3


async def test_a_receipt_is_verified_in_some_milliseconds() -> None:
    league, raws = await samples()
    begun = time.process_time()
    for _ in range(10):
        verify_receipt(raws[0], league.trusted, league.keys)
    assert (time.process_time() - begun) / 10 < 0.05
    assert msgspec.json.decode(raws[0])["format"] == "hansa-receipt/1"
