"""Which entities are for some members alone, in leagues in one process."""

from __future__ import annotations

import msgspec

from hansa.store import Entity

PUBLIC_STATUSES = frozenset({"Launched", "Retired", "Obsolete"})


class ConfidentialEntities:
    """Orders and quotes, and what is for chosen members."""

    types = frozenset({"ProductOrder", "Quote"})

    def is_ready(self, entity: Entity) -> bool:
        """Whether others may see an entity."""
        return msgspec.json.decode(entity.body).get("lifecycleStatus") in PUBLIC_STATUSES
