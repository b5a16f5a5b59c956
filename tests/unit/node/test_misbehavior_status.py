"""A member whose validator was convicted says so, and what to do; everybody shows who it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from hansa.cli.status import facts_of, rows_of_misbehavior
from hansa.core.clock import ManualClock
from hansa.node.health import BlockProgress, Condition, HealthReporter
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger.rules.upgrades import Release
from hansa.pubsub.ledger_records import LedgerStatus, Misbehavior
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from hansa.replication.registry import MemberRegistry
from tests.contract.origins import Origin

MEMBERS = LUBECK, BERGEN = Origin("lubeck").member, Origin("bergen").member
ADDRESS, OTHER = (validator_address(member.validator_key) for member in (LUBECK, BERGEN))
EVIDENCE = Misbehavior(ADDRESS, 7, "duplicate_vote", 9)
STATUS = LedgerStatus(9, 1, "00", None, catching_up=False, peers=1, powers={ADDRESS: 0, OTHER: 10})


async def no_record(section: str, key: str) -> bytes | None:
    """A ledger without records."""
    del section, key
    return None


def reporter(status: LedgerStatus | None) -> HealthReporter:
    """Of the member lubeck, that knows of a ledger."""

    async def refresh() -> LedgerStatus | None:
        return status

    async def progress(*_: object) -> Any:
        return SimpleNamespace(gauges=SimpleNamespace(outbox=0, refused=0, lost=0), origins=())

    clock = ManualClock()
    parts: dict[str, Any] = {
        "ledger": SimpleNamespace(refresh=refresh),
        "registry": MemberRegistry(MemoryBus(MemoryLedger(MEMBERS, clock)), clock, MEMBERS),
        "replication": SimpleNamespace(progress=progress),
        "guard": SimpleNamespace(status=SimpleNamespace(address=ADDRESS.upper(), is_observing=False)),
    }
    return HealthReporter(
        LUBECK.did,
        publication_problem=lambda: None,
        is_ledger_behind=lambda: False,
        policies_problem=lambda: None,
        trust_problem=lambda: None,
        record=no_record,
        following=lambda: None,
        blocks=BlockProgress(clock, lambda: 60.0),
        release=Release(("hansa-ledger/4",)),
        stopped_because=lambda: None,
        evidence=lambda: (),
        membership=no_conditions,
        clock=clock,
        **parts,
    )


async def no_conditions() -> tuple[Condition, ...]:
    return ()


async def validator_messages(status: LedgerStatus | None) -> list[str]:
    """What the member says about its validator."""
    conditions = await reporter(status).conditions()
    return [one.message for one in conditions if one.code.startswith("validator-")]


async def test_a_convicted_validator_is_a_condition_that_is_logged_once() -> None:
    convicted = msgspec.structs.replace(STATUS, misbehavior=(EVIDENCE,))
    with capture_logs() as logs:
        (note,) = await validator_messages(convicted)
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
async def test_nobody_else_has_such_a_condition(status: LedgerStatus | None) -> None:
    assert await validator_messages(status) == []


def test_status_names_the_member_and_its_power() -> None:
    report = {
        "did": LUBECK.did,
        "name": "lubeck",
        "ruleset": "hansa-ledger/3",
        "rules_digest": "ab" * 32,
        "reasons": ["the validator has lost its voting power"],
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
    assert "voting power" in facts["lubeck"]
