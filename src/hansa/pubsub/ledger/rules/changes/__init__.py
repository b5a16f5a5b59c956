"""The kinds of changes that members can vote on, one module each.

Everything else knows them by the registry here alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from hansa.core.governance.changes import CHANGE_FORMS
from hansa.core.governance.forms import LeagueChange
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.changes.anchors import ANCHOR_PUT, ANCHOR_REMOVE, CERTIFICATE_REVOKE
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.changes.member_put import MEMBER_PUT
from hansa.pubsub.ledger.rules.changes.member_status import MEMBER_STATUS, SUSPENSION
from hansa.pubsub.ledger.rules.changes.param_set import PARAM_SET
from hansa.pubsub.ledger.rules.changes.policy_set import POLICY_SET
from hansa.pubsub.ledger.rules.changes.trusted_issuers import ISSUER_PUT, ISSUER_REMOVE
from hansa.pubsub.ledger.rules.changes.upgrade_plan import UPGRADE_PLAN
from hansa.pubsub.ledger.rules.changes.validator_power import VALIDATOR_POWER
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE

CHANGE_KINDS: Final[Mapping[str, ChangeKind]] = {
    kind.name: kind
    for kind in (
        *(ANCHOR_PUT, ANCHOR_REMOVE, CERTIFICATE_REVOKE),
        *(ISSUER_PUT, ISSUER_REMOVE),
        *(MEMBER_PUT, MEMBER_STATUS, PARAM_SET, POLICY_SET, SUSPENSION, UPGRADE_PLAN, VALIDATOR_POWER),
    )
}
"""By name."""
assert CHANGE_KINDS.keys() <= CHANGE_FORMS.keys(), "a kind of change has a form"

SIXTIETHS: Final = 60


def kind_of(change: LeagueChange) -> ChangeKind:
    """The kind of a change.

    Raises:
        RuleBroken: `CHANGE`, when it has a form and no effect under these rules.
    """
    kind = CHANGE_KINDS.get(change.kind)
    if kind is None:
        raise CHANGE.broken(f"Nothing can be changed by {change.kind}.")
    return kind


def touched_elements(changes: Iterable[LeagueChange]) -> tuple[str, ...]:
    """The elements that changes touch, in order.

    Raises:
        RuleBroken: a change is malformed.
    """
    return tuple(sorted({element for change in changes for element in kind_of(change).elements(change)}))


def threshold_sixtieths(changes: Iterable[LeagueChange], params: LedgerParams) -> int:
    """More than so many sixtieths of the voting power must be for these changes: the most of any of them."""
    return max(int(getattr(params, kind_of(change).threshold)) for change in changes)


def describe_change(view: ElementsView, change: LeagueChange) -> str:
    """What a change would change, in words."""
    return kind_of(change).describe(view, change)
