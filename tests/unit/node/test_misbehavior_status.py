"""A member whose validator was convicted says so, and what to do; everybody shows who it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from hansa.cli.status import facts_of, rows_of_misbehavior
from hansa.core.clock import ManualClock
from hansa.core.limits import Limits
from hansa.node.status import StatusReporter
from hansa.pubsub.bus import LedgerStatus, Misbehavior
from hansa.pubsub.ledger.commitments.stored import validator_address
from tests.contract.origins import Origin

LUBECK, BERGEN = Origin("lubeck").member, Origin("bergen").member
ADDRESS, OTHER = (validator_address(member.validator_key) for member in (LUBECK, BERGEN))
EVIDENCE = Misbehavior(ADDRESS, 7, "duplicate_vote", 9)
STATUS = LedgerStatus(9, 1, "00", None, catching_up=False, peers=1, powers={ADDRESS: 0, OTHER: 10})


def reporter(status: LedgerStatus | None) -> StatusReporter:
    """Of the member lubeck, that knows of a ledger."""
    guard = SimpleNamespace(status=SimpleNamespace(address=ADDRESS.upper(), is_observing=False))
    none: Any = None
    parts: dict[str, Any] = {
        "settings": SimpleNamespace(limits=Limits()),
        "ledger": SimpleNamespace(status=status),
        "registry": SimpleNamespace(known=lambda: (LUBECK, BERGEN)),
        "guard": guard,
        "clock": ManualClock(),
    }
    return StatusReporter(store=none, replication=none, counters=none, tasks=none, children=none, **parts)


def test_a_convicted_validator_is_a_note_that_is_logged_once() -> None:
    convicted = reporter(msgspec.structs.replace(STATUS, misbehavior=(EVIDENCE,)))
    with capture_logs() as logs:
        (note,) = convicted.notes()
        assert convicted.notes() == (note,)
    assert "duplicate_vote" in note
    assert "recover.md" in note
    assert [entry["event"] for entry in logs] == ["validator_power_lost"]


@pytest.mark.parametrize(
    "status",
    [
        None,
        STATUS,
        msgspec.structs.replace(STATUS, misbehavior=(msgspec.structs.replace(EVIDENCE, address=OTHER),)),
        msgspec.structs.replace(STATUS, misbehavior=(EVIDENCE,), powers={ADDRESS: 10}),
    ],
)
def test_nobody_else_has_such_a_note(status: LedgerStatus | None) -> None:
    assert reporter(status).notes() == ()


def test_status_names_the_member_and_its_power() -> None:
    report = {
        "did": LUBECK.did,
        "name": "lubeck",
        "ruleset": "hansa-ledger/3",
        "rules_digest": "ab" * 32,
        "notes": ["the validator has lost its voting power"],
        "powers": [{"did": BERGEN.did, "name": "bergen", "power": 0}],
        "misbehavior": [
            {
                "did": BERGEN.did,
                "name": "bergen",
                "kind": "duplicate_vote",
                "height": 7,
                "recorded_height": 9,
            },
            {
                "did": None,
                "name": None,
                "address": "00",
                "kind": "unknown",
                "height": 1,
                "recorded_height": 2,
            },
        ],
    }
    assert rows_of_misbehavior(report) == [
        ["bergen", "duplicate_vote", "7", "9", "0"],
        ["00", "unknown", "1", "2", "-"],
    ]
    facts = facts_of(report)
    assert facts["rules"] == "hansa-ledger/3 (abababababababab)"
    assert "voting power" in facts["notes"]
