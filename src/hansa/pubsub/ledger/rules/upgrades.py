"""How a league goes on under other rules: at a height on which its members agreed before.

Under `hansa-ledger/4` they agree by vote. The state then has a plan: from which block on which rule set
judges, and which version of the engine it needs. The step `switch_rules` of each block's begin carries it
out.

Under `hansa-ledger/3` there are no votes. The operators set the height (`ledger_upgrade_height`), and the
block itself says that the rules change: its first transaction is `SWITCH`, which is valid in that block alone
and nowhere waits for one. Members with more than 2/3 of the voting power have accepted that block, so what
the setting of one member says never decides by which rules a block is judged. It decides whether that member
accepts it, and goes on after it.

Where the rules are not in a release, or its engine is too old, the ledger application ends before the block
(`Code.UPGRADE_NEEDED`): going on by other rules would be a ledger of its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from hansa.core.closed_json import Integer, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.changes import ENGINE_PATTERN, HEIGHT_MAX, RULESET_PATTERN
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, RULESET_4
from hansa.pubsub.ledger.state import Overlay, StateView

SECTION: Final = "upgrades"
PLAN: Final = "plan"
"""Key of the plan in the section; those of readiness are DIDs."""

SWITCH: Final = b'{"kind":"switch","ruleset":"hansa-ledger/4"}'
"""The first transaction of the block from which on `hansa-ledger/4` judges instead of `hansa-ledger/3`."""

_NUMBERS: Final = re.compile("[0-9]+")


class UpgradePlan(msgspec.Struct, frozen=True):
    """From which block on which rules judge."""

    height: int
    """Of the first block that is judged by them."""
    ruleset: str
    engine: str = ""
    """The oldest version of the engine that may run from then on, such as `v0.40.0`; empty: any."""


PLAN_FORM: Final = StructForm(
    UpgradePlan,
    {"height": Integer(1, HEIGHT_MAX), "ruleset": Text(RULESET_PATTERN)},
    {"engine": Text(ENGINE_PATTERN)},
)


class StatedRelease(msgspec.Struct, frozen=True):
    """What a member has stated to run, in a statement of its own (`upgrade.ready`)."""

    ruleset: str
    """One that it can judge by."""
    version: str
    """Of Hansa."""


READY_FORM: Final = StructForm(
    StatedRelease, {"ruleset": Text("[a-z0-9/-]{1,64}"), "version": Text("[A-Za-z0-9.+-]{1,64}")}
)


class Requirement(Protocol):
    """What a plan requires of a release: an `UpgradePlan`, or the report of one."""

    @property
    def ruleset(self) -> str:
        """Name of the rules."""

    @property
    def engine(self) -> str:
        """The oldest version; empty: any."""


class Release(msgspec.Struct, frozen=True):
    """What an installation has."""

    rulesets: Collection[str]
    """Names of the rule sets by which it can judge."""
    engine: str = ""
    """Version of its engine; empty: not known, and taken to be right."""

    def lacks(self, plan: Requirement) -> str | None:
        """What it lacks for a plan, in words; None when it has everything."""
        if plan.ruleset not in self.rulesets:
            return f"the rules {plan.ruleset} (it has {', '.join(self.rulesets)})"
        if plan.engine and self.engine and _version(self.engine) < _version(plan.engine):
            return f"an engine of version {plan.engine} (it has {self.engine})"
        return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(text))


def planned_upgrade(state: StateView) -> UpgradePlan | None:
    """The plan of a league that is to judge by other rules; None without one."""
    body = state.record(SECTION, PLAN)
    return None if body is None else PLAN_FORM.read(body)


def ready_members(records: Mapping[str, bytes]) -> tuple[str, ...]:
    """DIDs of the members that are ready for the plan, by the records of the section."""
    plan = PLAN_FORM.read(records[PLAN])
    return tuple(
        did for did, body in records.items() if did != PLAN and READY_FORM.read(body).ruleset == plan.ruleset
    )


def switch_rules(state: Overlay) -> None:
    """Carry the plan out in its block; part of the begin of every block."""
    plan = planned_upgrade(state)
    if plan is None or state.height < plan.height:
        return
    for key in state.records(SECTION):
        state.put_record(SECTION, key, None)
    state.put_ruleset(plan.ruleset)


def is_switch(ruleset: str, transactions: Sequence[bytes]) -> bool:
    """Whether a block of these transactions, on a state of that rule set, changes the rules by `SWITCH`."""
    return ruleset == RULESET_3 and bool(transactions) and transactions[0] == SWITCH


def apply_switch(state: Overlay) -> None:
    """Go on by the rules that `SWITCH` names."""
    assert state.ruleset == RULESET_3, "the rules change once"
    state.put_ruleset(RULESET_4)
