"""What the other marketplaces can know of an own entity, by the store and the distribution policy."""

from __future__ import annotations

from hansa.core.visibility import visibility_of
from hansa.portal.providers.offers.own import OwnPublication
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Entity
from hansa.store.tables import publications


def publication_of(
    entity: Entity, row: publications.Publication | None, policy: DistributionPolicy
) -> OwnPublication:
    """What they can know of it.

    Args:
        entity: As stored.
        row: What was published of it; None: it was never looked at.
        policy: What leaves this marketplace.
    """
    if entity.origin is not None:
        return OwnPublication("replica")
    version = row.version if row is not None and not row.is_withdrawn else 0
    published = policy.publishes(entity)
    if isinstance(published, Unmet):
        if published.condition == "visibility":
            is_here = visibility_of(entity.body).audience == "here"
            return OwnPublication("here" if is_here else "chosen", version, reason=published.reason)
        if published.condition == "public":
            return OwnPublication("private", version)
        return OwnPublication("withheld", version, published.condition, published.reason)
    if row is not None and row.refusal_code is not None:
        return OwnPublication("refused", version, row.refusal_code, row.refusal_message or "")
    if entity.pending is not None:
        return OwnPublication("pending", version)
    is_announced = row is not None and version > 0 and row.hashlink == published.entity.hashlink
    return OwnPublication("announced" if is_announced else "on-its-way", version)
