"""Which members may forward which writes: rules of the operator, and nothing without one.

A rule is a text of three or four parts, parted by blanks:

    did:elsi:VATDE-123456789 ProductOffering,Category change
    did:key:zDnaex… * create,change,delete provider,operator

The member; the collections, or `*` for all of them; the actions `create`, `change` and `delete`, or `*`; and
the roles of which the caller must have one at the member that forwards, by default `provider` or `operator`.
Whoever a rule admits acts here in the role `provider`: no rule makes somebody else's people operators.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from hansa.core.access import OPERATOR, PROVIDER, WRITERS, Action
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_did

ANY: Final = "*"
_ACTIONS: Final = {"create": Action.CREATE, "change": Action.CHANGE, "delete": Action.DELETE}


class DelegationRule(msgspec.Struct, frozen=True):
    """One rule."""

    member: str
    """DID; `*`: every member."""
    collections: frozenset[str]
    actions: frozenset[Action]
    roles: frozenset[str] = WRITERS

    def admits(self, member: str, collection: str, action: Action, roles: frozenset[str]) -> bool:
        """Whether it lets a member forward such a write."""
        return (
            self.member in {ANY, member}
            and (ANY in self.collections or collection in self.collections)
            and action in self.actions
            and not self.roles.isdisjoint(roles)
        )


def read_rule(text: str) -> DelegationRule:
    """The rule that a text is.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    parts = text.split()
    if len(parts) not in {3, 4}:
        raise Refused(
            Code.INVALID, f"{text!r} is no rule: it has a member, collections, actions and perhaps roles."
        )
    member, collections, actions, *roles = parts
    if member != ANY and not is_did(member):
        raise Refused(Code.INVALID, f"{member!r} is neither the DID of a member nor *.")
    names = frozenset(_ACTIONS if actions == ANY else actions.split(","))
    unknown = sorted(names - _ACTIONS.keys())
    if unknown:
        raise Refused(Code.INVALID, f"{unknown[0]!r} is no action; there are {', '.join(_ACTIONS)}, or *.")
    needed = frozenset(roles[0].split(",")) if roles else WRITERS
    if not needed <= WRITERS:
        raise Refused(Code.INVALID, f"The roles of those who write are {PROVIDER} and {OPERATOR}.")
    return DelegationRule(
        member, frozenset(collections.split(",")), frozenset(_ACTIONS[name] for name in names), needed
    )


class DelegationRules:
    """The `DelegationPolicy` of this marketplace: some rules, of which one must admit a write."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Read the rules.

        Raises:
            Refused: `Code.INVALID`.
        """
        self._rules = tuple(map(read_rule, texts))

    def admits_everything(self, member: str) -> bool:
        """Whether a member may forward every write of its own providers."""
        every, role = frozenset(_ACTIONS.values()), frozenset({PROVIDER})
        return any(
            rule.member in {ANY, member}
            and ANY in rule.collections
            and rule.actions == every
            and not rule.roles.isdisjoint(role)
            for rule in self._rules
        )

    def may_forward(self, member: str, collection: str, action: Action, roles: frozenset[str]) -> bool:
        """See `DelegationPolicy`."""
        return any(rule.admits(member, collection, action, roles) for rule in self._rules)
