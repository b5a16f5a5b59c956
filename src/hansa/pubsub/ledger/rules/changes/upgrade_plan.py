"""`upgrade.plan`: from which block on the league judges by other rules, or needs a newer engine.

A later plan replaces an earlier one until its block is reached; the height 0 says that nothing is planned
any more. Which rules there are is for releases to know: a plan may name rules that no release has yet, and
whoever lacks them at the block stops before it.
"""

from __future__ import annotations

import re
from typing import Final

from hansa.core.governance.changes import PlanUpgrade
from hansa.pubsub.ledger.rules import upgrades
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.state import Overlay

LEAD_MIN_BLOCKS: Final = 2
"""Between the decision and the block: validators of other power act two blocks later too."""
_NUMBER: Final = re.compile("/([0-9]+)$")


def _apply(state: Overlay, change: PlanUpgrade) -> None:
    if change.height == 0:
        if upgrades.planned_upgrade(state) is None:
            raise CHANGE.broken("No upgrade is planned that could be given up.")
        state.put_record(upgrades.SECTION, upgrades.PLAN, None)
        return
    if change.height < state.height + LEAD_MIN_BLOCKS:
        raise CHANGE.broken(f"Block {change.height} is not after the next ones.")
    if _number(change.ruleset) < _number(state.ruleset):
        raise CHANGE.broken(f"The league does not go back from {state.ruleset} to {change.ruleset}.")
    if change.ruleset == state.ruleset and not change.engine:
        raise CHANGE.broken(f"The league judges by {state.ruleset} already.")
    plan = upgrades.UpgradePlan(change.height, change.ruleset, change.engine)
    state.put_record(upgrades.SECTION, upgrades.PLAN, upgrades.PLAN_FORM.write(plan))


def _number(ruleset: str) -> int:
    match = _NUMBER.search(ruleset)
    return int(match[1]) if match else 0


def _describe(view: ElementsView, change: PlanUpgrade) -> str:
    body = view.record(upgrades.SECTION, upgrades.PLAN)
    before = "" if body is None else f" instead of from block {upgrades.PLAN_FORM.read(body).height} on"
    if change.height == 0:
        return "The planned change of rules is given up."
    engine = f", with an engine of version {change.engine} or newer" if change.engine else ""
    return (
        f"From block {change.height} on{before} the league judges by {change.ruleset}{engine}. "
        "Members whose release lacks that stop before this block."
    )


UPGRADE_PLAN: Final = ChangeKind(
    "upgrade.plan",
    "threshold_upgrade_sixtieths",
    lambda _: (f"upgrade/{upgrades.PLAN}",),
    _apply,
    _describe,
)
