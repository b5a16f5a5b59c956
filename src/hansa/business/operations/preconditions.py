"""What a writer expects of an entity: that it is still as it was read (RFC 9110, section 13.1)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from hansa.core.errors import Code, Refused
from hansa.store import Entity


class Preconditions(msgspec.Struct, frozen=True):
    """Conditions on the current state of an entity; a write goes through only when all hold."""

    versions: frozenset[str] | None = None
    """Hashlinks of which the entity has one; None when any will do."""
    unmodified_since: datetime | None = None
    """The entity was last written at this second or before."""
    other_versions: frozenset[str] = frozenset()
    """Hashlinks of which the entity has none."""
    is_absent: bool = False
    """There is no entity at all."""

    def check(self, entity: Entity) -> None:
        """Check the conditions.

        Raises:
            Refused: `Code.PRECONDITION_FAILED`, naming the version that is here.
        """
        if self.versions is not None:
            is_other = entity.hashlink not in self.versions
        else:
            is_other = self.unmodified_since is not None and not is_as_of(entity, self.unmodified_since)
        version = f'The entity stands at version "{entity.hashlink}"'
        if is_other:
            raise Refused(Code.PRECONDITION_FAILED, f"{version}; read it again.")
        if self.is_absent or entity.hashlink in self.other_versions:
            raise Refused(Code.PRECONDITION_FAILED, f"{version} already.")


NO_PRECONDITIONS = Preconditions()


def is_as_of(entity: Entity, moment: datetime) -> bool:
    """Whether the entity has not been written after a moment, to the second."""
    return datetime.fromisoformat(entity.modified).replace(microsecond=0) <= moment
