"""What a kind of change is.

The form of a change is in `hansa.core.governance.changes.CHANGE_FORMS`, under the same name. To add a
kind: add its form there, write its module here, with a value of `ChangeKind`, and name that value in
`hansa.pubsub.ledger.rules.changes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hansa.core.governance.forms import LeagueChange
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.kind import CheckContext
from hansa.pubsub.ledger.state import Overlay, StateView


def accept_unchecked(state: StateView, change: LeagueChange, context: CheckContext) -> None:
    """Of kinds that `apply` alone judges."""
    del state, change, context


class ChangeKind(msgspec.Struct, frozen=True):
    """One kind of change.

    `apply` raises `RuleBroken` when a change cannot take effect on a state. It is tried when a change is
    proposed, and carried out when it has its votes.
    """

    name: str
    """As `member.put`."""
    threshold: str
    """Name of the parameter that says how many sixtieths of the power are needed, and one more."""
    elements: Callable[[Any], tuple[str, ...]]
    """The elements that a change touches."""
    apply: Callable[[Overlay, Any], None]
    describe: Callable[[ElementsView, Any], str]
    """What would change, for people."""
    check: Callable[[StateView, Any, CheckContext], None] = accept_unchecked
    """What is checked once, when a change is proposed: the signatures in it."""
