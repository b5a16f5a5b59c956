"""What a write returns."""

from __future__ import annotations

import msgspec

from hansa.business.rules import UnresolvedReference
from hansa.store import Entity


class WriteResult(msgspec.Struct, frozen=True):
    """The entity as it was written."""

    entity: Entity
    unresolved: tuple[UnresolvedReference, ...] = ()
    """References to what is not (yet) here."""
