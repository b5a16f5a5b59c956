"""Events are verified by the key that was their issuer's then, proved to whoever has the genesis alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hansa.api.events import event_document
from hansa.client.verification import EventVerifier
from hansa.core.batches import BatchSigner
from hansa.core.errors import Code, Refused
from hansa.core.events import decode_event
from hansa.core.governance.statements import EndpointSet, Leave
from hansa.core.histories import LedgerHistory
from hansa.core.keys import SigningKey
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter
from hansa.pubsub.light.histories.keys import ProvedKeys
from hansa.pubsub.light.receipts import VerifiedReceipt, verify_receipt
from tests.contract.origins import Origin
from tests.support import second_verifier
from tests.support.proved_league import ProvedLeague
from tests.unit.pubsub.light.test_receipts import refusals, sealed

pytestmark = pytest.mark.anyio


def rotated_league() -> tuple[ProvedLeague, SigningKey]:
    """Lubeck publishes, replaces its key, publishes again, and moves."""
    league = ProvedLeague(observers=[Origin("visby")])
    league.commit(league.lubeck, *league.lubeck.events(2, "before"))
    old = league.rotate(league.lubeck)
    league.commit(league.lubeck, *league.lubeck.events(2, "after"))
    league.state(league.lubeck, EndpointSet("https://moved.example"))
    league.commit(league.bergen, *league.bergen.events(1, "bergen"))
    return league, old


def keys_of(league: ProvedLeague) -> ProvedKeys:
    return ProvedKeys(league.trusted, league.keys, league.maker.of_member)


async def document(league: ProvedLeague, position: int) -> dict[str, Any]:
    """An event as a marketplace hands it out."""
    page = await league.bus.search(position - 1, EventFilter(), 1, with_proofs=True)
    return handed_out(page.events[0])


def handed_out(event: CommittedEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event_document(event, None)))
    return decoded


def forged(league: ProvedLeague, key: SigningKey, position: int) -> dict[str, Any]:
    """An event that was never committed, signed with a key of lubeck, at a position of choice."""
    from hansa.core.batches import event_proofs

    content = league.lubeck.event("forged")
    signer = BatchSigner(key, league.lubeck.did, league.clock)
    proof = event_proofs(signer.sign([content], 99), [content])[0]
    event = decode_event(content, league.lubeck.did)
    return handed_out(CommittedEvent(position, 9, "2026-01-01T00:00:00.000Z", event, content, proof))


async def proved(league: ProvedLeague, did: str) -> VerifiedReceipt:
    return verify_receipt(await league.maker.of_member(did), league.trusted, league.keys)


# -- receipts of events --------------------------------------------------------------------------------------


async def test_receipts_of_events_before_and_after_a_rotation_name_the_key_that_was_valid() -> None:
    league, old = rotated_league()
    periods = []
    for position in (1, 3):
        event = (await document(league, position))["event"]
        raw = await league.maker.of_entity(event["id"])
        second_verifier.verify(raw, json.loads(league.genesis))
        receipt = verify_receipt(raw, league.trusted, league.keys)
        assert receipt.events[0].is_signature_verified
        period = receipt.events[0].key
        assert period is not None
        periods.append((period.jwk.kid, period.since, period.until))
        assert len(raw) < 5000
    assert periods == [(old.kid, 1, 2), (league.lubeck.key.kid, 3, None)]


async def test_a_receipt_without_the_proof_of_its_key_is_refused() -> None:
    league, _ = rotated_league()
    fields = json.loads(await league.maker.of_entity((await document(league, 3))["event"]["id"]))
    without = {name: value for name, value in fields.items() if name != "history"}
    assert "path of no history" in refusals(league, sealed(without))[0]
    without["state"] = {"events": fields["state"]["events"]}
    assert "does not show that the key" in refusals(league, sealed(without))[0]


def _other_record(fields: dict[str, Any]) -> None:
    fields["history"]["records"][0]["record"] = fields["history"]["records"][0]["record"][:-4] + "AAAA"


def _other_place(fields: dict[str, Any]) -> None:
    fields["history"]["records"][0]["index"] += 1


def _other_name(fields: dict[str, Any]) -> None:
    fields["history"]["records"][0]["key"] += "x"


def _other_size(fields: dict[str, Any]) -> None:
    fields["history"]["size"] += 1


def _shorter(fields: dict[str, Any]) -> None:
    fields["history"]["path"].pop()


def _longer(fields: dict[str, Any]) -> None:
    fields["history"]["path"].append("A" * 43)


def _twice(fields: dict[str, Any]) -> None:
    fields["history"]["records"] *= 2


@pytest.mark.parametrize(
    "change", [_other_record, _other_place, _other_name, _other_size, _shorter, _longer, _twice]
)
async def test_a_record_that_is_not_on_the_ledger_is_refused_by_both(
    change: Callable[[dict[str, Any]], None],
) -> None:
    league, _ = rotated_league()
    fields = json.loads(await league.maker.of_entity((await document(league, 3))["event"]["id"]))
    change(fields)
    assert all(refusals(league, sealed(fields)))


async def test_a_key_of_another_event_does_not_do() -> None:
    league, _ = rotated_league()
    receipts = [
        json.loads(await league.maker.of_entity((await document(league, position))["event"]["id"]))
        for position in (1, 3)
    ]
    receipts[1]["history"] = receipts[0]["history"]
    assert "does not show that the key" in refusals(league, sealed(receipts[1]))[0]


# -- the history of a member ---------------------------------------------------------------------------------


async def test_a_receipt_of_a_member_has_all_its_keys_and_endpoints_and_nobody_elses() -> None:
    league, old = rotated_league()
    receipt = await proved(league, league.lubeck.did)
    assert receipt.history is not None
    assert {(one.jwk.kid, one.since, one.until) for one in receipt.history.keys} == {
        (old.kid, 1, 2),
        (league.lubeck.key.kid, 3, None),
    }
    assert {one.did for one in receipt.history.endpoints} == {league.lubeck.did}
    own = LedgerHistory(receipt.history.keys, receipt.history.endpoints)
    assert own.endpoint(league.lubeck.did, 4) == league.lubeck.endpoint
    assert own.endpoint(league.lubeck.did, 5) == "https://moved.example"
    assert receipt.history.events == 5


async def test_a_stranger_is_proved_never_to_have_been_a_member() -> None:
    league, _ = rotated_league()
    receipt = await proved(league, "did:web:nobody.example")
    assert receipt.history is not None
    assert receipt.history.member == "did:web:nobody.example"
    assert (receipt.history.keys, receipt.history.endpoints) == ((), ())
    with pytest.raises(Refused) as refused:
        await league.maker.of_member("nobody")
    assert refused.value.code is Code.INVALID


async def test_no_key_and_no_endpoint_of_a_member_can_be_left_out() -> None:
    """As a marketplace would that wants an old address, or a key that was replaced, to be believed."""
    from hansa.core.merkle import subset_proof
    from hansa.pubsub.ledger.commitments.records import record_leaf
    from hansa.pubsub.light.chain.forms import encoded

    league, _ = rotated_league()
    fields = json.loads(await league.maker.of_member(league.lubeck.did))
    stored = list(league.ledger.application.state.records("history").items())
    leaves = [record_leaf(key, body) for key, body in stored]
    shown = fields["history"]["records"]
    assert len(shown) >= 6, "two keys, two endpoints, and their neighbours"
    for left_out in range(len(shown)):
        rest = [row for at, row in enumerate(shown) if at != left_out]
        path = subset_proof(leaves, [row["index"] for row in rest])
        changed = {**fields["history"], "records": rest, "path": [encoded(one) for one in path]}
        with pytest.raises(Refused, match="does not show everything"):
            verify_receipt(sealed({**fields, "history": changed}), league.trusted, league.keys)


async def test_a_receipt_of_a_member_claims_no_more_events_than_its_state_has() -> None:
    league, _ = rotated_league()
    fields = json.loads(await league.maker.of_member(league.lubeck.did))
    for changed in ({"size": 6}, {"root": "A" * 43}):
        with pytest.raises(Refused, match="other events"):
            verify_receipt(sealed({**fields, **changed}), league.trusted, league.keys)
    for name in ("root", "size"):
        without = {key: value for key, value in fields.items() if key != name}
        with pytest.raises(Refused, match="events"):
            verify_receipt(sealed(without), league.trusted, league.keys)


# -- verifying events ----------------------------------------------------------------------------------------


async def test_events_before_and_after_a_rotation_verify_with_the_genesis_alone() -> None:
    league, _ = rotated_league()
    verifier = EventVerifier(keys_of(league))
    for position in range(1, 6):
        event = await verifier.verify(await document(league, position))
        assert event == (await league.bus.search(position - 1, EventFilter(), 1)).events[0].event


async def test_an_event_of_a_key_that_was_not_valid_at_its_position_is_refused() -> None:
    league, old = rotated_league()
    verifier = EventVerifier(keys_of(league))
    for key, position in ((old, 3), (old, 5), (league.lubeck.key, 1), (league.lubeck.key, 2)):
        with pytest.raises(Refused, match="had no key") as refused:
            await verifier.verify(forged(league, key, position))
        assert refused.value.code is Code.EVENT_SIGNATURE_INVALID
    with pytest.raises(Refused, match="had no key"):
        await verifier.verify(forged(league, SigningKey.generate(), 1))


async def test_a_position_that_no_state_has_is_refused() -> None:
    league, _ = rotated_league()
    with pytest.raises(Refused, match="No state is shown that has position 6"):
        await EventVerifier(keys_of(league)).verify(forged(league, league.lubeck.key, 6))


async def test_events_of_a_member_that_left_verify_and_later_ones_do_not() -> None:
    visby = Origin("visby")
    league = ProvedLeague(observers=[visby])
    league.commit(visby, *visby.events(1))
    league.state(visby, Leave())
    league.skip(5)
    league.commit(league.lubeck, *league.lubeck.events(1))
    verifier = EventVerifier(keys_of(league))
    assert (await verifier.verify(await document(league, 1))).issuer == visby.did
    keys = keys_of(league)
    assert await keys.key(visby.did, visby.key.kid, 1) == visby.key.public
    assert await keys.key(visby.did, visby.key.kid, 2) is None


async def test_a_key_that_is_replaced_while_events_are_followed_is_noticed() -> None:
    league, _ = rotated_league()
    verifier = EventVerifier(keys_of(league))
    await verifier.verify(await document(league, 5))
    key = league.lubeck.key
    await verifier.verify(await document(league, 4))
    league.rotate(league.lubeck)
    league.commit(league.lubeck, *league.lubeck.events(1))
    await verifier.verify(await document(league, 6))
    with pytest.raises(Refused, match="had no key"):
        await verifier.verify(forged(league, key, 6))


async def test_a_marketplace_cannot_go_back_to_a_state_in_which_a_key_was_valid() -> None:
    league, old = rotated_league()
    earlier = await league.maker.of_member(league.bergen.did)
    league.rotate(league.bergen)
    league.commit(league.bergen, *league.bergen.events(1))
    receipts = [await league.maker.of_member(league.lubeck.did), earlier]

    async def fetch(did: str, known_height: int, /) -> bytes:
        del did, known_height
        return receipts.pop(0)

    keys = ProvedKeys(league.trusted, league.keys, fetch)
    assert await keys.key(league.lubeck.did, old.kid, 1) == old.public
    with pytest.raises(Refused) as refused:
        await keys.key(league.bergen.did, "any", 1)
    assert refused.value.code is Code.PROOF_INVALID


async def test_a_receipt_of_somebody_else_is_refused() -> None:
    league, _ = rotated_league()

    async def fetch(did: str, known_height: int, /) -> bytes:
        del did
        return await league.maker.of_member(league.bergen.did, known_height)

    with pytest.raises(Refused, match="shows nothing of"):
        await ProvedKeys(league.trusted, league.keys, fetch).key(league.lubeck.did, "any", 1)


async def test_a_marketplace_that_retains_other_blocks_begins_with_the_genesis() -> None:
    league, old = rotated_league()
    heights: list[int] = []

    async def fetch(did: str, known_height: int, /) -> bytes:
        heights.append(known_height)
        if known_height:
            raise Refused(Code.NOT_FOUND, "No such block.")
        return await league.maker.of_member(did)

    keys = ProvedKeys(league.trusted, league.keys, fetch)
    await keys.key(league.bergen.did, "any", 1)
    assert await keys.key(league.lubeck.did, old.kid, 1) == old.public
    assert heights[0] == 0 and heights[1] > 0 and heights[2] == 0  # noqa: PT018


async def test_under_rules_without_history_the_genesis_has_the_keys() -> None:
    league = ProvedLeague(ruleset=RULESET_3)
    league.commit(league.lubeck, *league.lubeck.events(2))
    receipt = await proved(league, league.lubeck.did)
    assert receipt.history is not None
    assert receipt.history.is_fixed
    verifier = EventVerifier(keys_of(league))
    assert (await verifier.verify(await document(league, 2))).issuer == league.lubeck.did
    with pytest.raises(Refused, match="had no key"):
        await verifier.verify(forged(league, SigningKey.generate(), 1))
