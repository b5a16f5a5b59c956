"""What a write finds and leaves, held to a rule: an entity may be written as it is and as it becomes.

So nobody writes what belongs to somebody else, and nobody gives away, or takes, what a write changes the
owner of. Of an entity that is no offer, as an order or a bill, the parties stay who they are, with their
roles: a change of them would show it to others, or hide it from those whom it is about.
"""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.business.operations.writes import Compute, WriteGuard
from hansa.business.rights.bound import BoundRule
from hansa.core.errors import Code, Refused
from hansa.store import Entity


class RightsGuard:
    """A `WriteGuard` by a rule, with another one beneath.

    Args:
        bound: Of the write.
        beneath: Bounds that hold beside.
    """

    def __init__(self, bound: BoundRule, beneath: WriteGuard | None) -> None:
        self._bound = bound
        self._beneath = beneath

    def check_current(self, current: Entity) -> None:
        """See `WriteGuard`."""
        self._bound.check(msgspec.json.decode(current.body), is_public=current.public)
        if self._beneath is not None:
            self._beneath.check_current(current)

    def computed(self, current: Entity, compute: Compute) -> dict[str, Any]:
        """See `WriteGuard`."""
        return compute(current) if self._beneath is None else self._beneath.computed(current, compute)

    def check_change(self, before: Entity, after: Entity) -> None:
        """See `WriteGuard`."""
        fields = msgspec.json.decode(after.body)
        refusal = self._bound.refusal(fields, is_public=after.public)
        if refusal is not None:
            raise Refused(
                Code.FORBIDDEN if refusal.code is Code.NOT_FOUND else refusal.code,
                f"What it would become may not be written. {refusal.reason}",
            )
        if not self._bound.target.is_catalogue:
            former = msgspec.json.decode(before.body)
            for name in self._bound.target.party_attributes:
                if former.get(name) != fields.get(name):
                    raise Refused(Code.FORBIDDEN, f"Its parties ({name}) cannot be changed.")
        if self._beneath is not None:
            self._beneath.check_change(before, after)
