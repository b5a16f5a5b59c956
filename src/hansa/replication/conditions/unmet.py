"""The answer of a condition that is not met."""

from __future__ import annotations

import msgspec


class Unmet(msgspec.Struct, frozen=True):
    """The condition by which something is not distributed."""

    condition: str
    """Its name: `type`, `visibility`, or the operator's file and policy, as `consume.cedar#only-cloud`."""
    reason: str
    """A sentence for the operator."""
    is_final: bool = True
    """Whether it holds for what another entity needs, too. Of policies, one that forbids does; that none
    permits does not."""
