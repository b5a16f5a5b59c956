"""Verifying what a marketplace reports about events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.api.events import event_document
from hansa.client.verification import EventVerifier, MemberKeys
from hansa.core.batches import event_proofs
from hansa.core.errors import Code, Refused
from hansa.core.events import decode_event
from hansa.pubsub.ledger_records import CommittedEvent
from tests.contract.origins import Origin

ORIGIN = Origin("lubeck")
CONTENTS = ORIGIN.events(3)
VERIFIER = EventVerifier(MemberKeys([ORIGIN.member]))


def document(index: int = 1) -> dict[str, Any]:
    """The event of that place in a batch, as it is handed out."""
    proof = event_proofs(ORIGIN.signer.sign(CONTENTS, 1), CONTENTS)[index]
    event = decode_event(CONTENTS[index], ORIGIN.did)
    committed = CommittedEvent(index + 1, 1, "2026-01-01T00:00:00.000Z", event, CONTENTS[index], proof)
    handed_out: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(event_document(committed, ORIGIN.endpoint))
    )
    return handed_out


async def test_an_event_as_it_is_handed_out_verifies() -> None:
    for index in range(3):
        assert await VERIFIER.verify(document(index)) == decode_event(CONTENTS[index], ORIGIN.did)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("event", "time"), "2026-01-01T00:00:00.001Z"),
        (("event", "hashlink"), document(2)["event"]["hashlink"]),
        (("event", "issuer"), Origin("bergen").did),
        (("event", "surprise"), 1),
        (("proof", "index"), 0),
        (("proof", "index"), "x"),
        (("proof", "path"), []),
        (("proof", "jws"), "x"),
        (("proof",), None),
        (("event",), None),
    ],
    ids=["time", "hashlink", "issuer", "surprise", "index", "a text", "path", "jws", "no proof", "no event"],
)
async def test_an_event_that_was_changed_does_not_verify(path: tuple[str, ...], value: Any) -> None:
    changed = document()
    part = changed
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    with pytest.raises(Refused) as refused:
        await VERIFIER.verify(changed)
    assert refused.value.code is Code.EVENT_SIGNATURE_INVALID


async def test_an_event_of_nobody_in_the_genesis_does_not_verify() -> None:
    with pytest.raises(Refused):
        await EventVerifier(MemberKeys([Origin("bergen").member])).verify(document())
