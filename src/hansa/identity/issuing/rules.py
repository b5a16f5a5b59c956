"""What the settings decide about issuing."""

from __future__ import annotations

import msgspec


class IssuingRules(msgspec.Struct, frozen=True):
    """By which credentials are issued."""

    needs_dpop: bool = False
    """Whether every access token is bound to a key (RFC 9449), as HAIP 1.0 demands."""
