"""The distribution policy: one answer to what leaves a marketplace, what it takes in, and who may retrieve.

Publisher, follower, intake, comparison with the ledger and `/league/v1` ask the same policy, so they cannot
disagree: what is announced is what is served, and what is skipped by its event is not stored either.

| question | asked by | about |
|---|---|---|
| `publishes` | publisher, walk, comparison | an own entity as stored |
| `wants` | follower, comparison | an event of another member, before anything is retrieved |
| `accepts` | intake | an entity that was retrieved and verified |
| `may_retrieve` | `/league/v1` | an entity, and the member that requests it |

An answer against an entity names the condition that is not met.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from hansa.core.distribution import WHOLE_ENTITIES, Distribution
from hansa.core.events import LifecycleEvent
from hansa.core.visibility import FOR_EVERYONE, visibility_of
from hansa.replication.conditions.cedar import Action, PolicyFile, PolicyOutcome
from hansa.replication.conditions.files import Conditions
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Entity, EntityDraft

FORMER: Final = Unmet(
    "former-member", "Its origin is no member any more; former_members_replicas is `drop` here."
)


class PublishedPart(msgspec.Struct, frozen=True):
    """What of an own entity other members get."""

    entity: Entity
    """With the attributes that are published, and the hashlink of these."""
    audience: frozenset[str] | None = None
    """DIDs of the members that get it; None: everyone."""


class DistributionPolicy:
    """Decides about distribution. Conditions can be replaced at any time; the walks apply them to the past.

    Args:
        did: This marketplace.
        types: The types that may be public; all others are private everywhere.
        parts: Which part of an own entity is published.
        release_rule: Digest of what the release publishes, whatever the conditions.
        conditions: Of the operator; None: none.
    """

    def __init__(
        self,
        did: str,
        types: frozenset[str],
        parts: Distribution[Entity] = WHOLE_ENTITIES,
        release_rule: str = "",
        conditions: Conditions | None = None,
    ) -> None:
        self.types: Final = types
        self.did: Final = did
        self._parts = parts
        self._release_rule = release_rule
        self._conditions = conditions
        self._dropped: frozenset[str] = frozenset()
        self.publish_changes = 0
        """How often another rule of publishing was adopted: one that holds again is not one that held on."""
        self.consume_changes = 0
        """The same of what is taken in."""

    def adopt(self, conditions: Conditions) -> None:
        """Decide by other conditions from now on."""
        before = self.publish_rule, self.consume_rule
        self._conditions = conditions
        self.publish_changes += before[0] != self.publish_rule
        self.consume_changes += before[1] != self.consume_rule

    def drop_origins(self, dids: frozenset[str]) -> bool:
        """Take in nothing of some members from now on, and of all others again; whether that is a change."""
        is_change = dids != self._dropped
        self._dropped = dids
        self.consume_changes += is_change
        return is_change

    @property
    def publish_rule(self) -> str:
        """By what `publishes` decides: another text for another rule."""
        digest = self._conditions.digest_of("publish") if self._conditions is not None else ""
        return f"{self._release_rule}:{digest}" if digest else self._release_rule

    @property
    def consume_rule(self) -> str:
        """By what `wants` and `accepts` decide; empty: there are no conditions."""
        digests = ["", ""]
        if self._conditions is not None:
            digests = [self._conditions.digest_of("retrieve"), self._conditions.digest_of("store")]
        if self._dropped:
            digests.append(hashlib.sha256(" ".join(sorted(self._dropped)).encode()).hexdigest())
        return ":".join(digests) if any(digests) else ""

    def publishes(self, entity: Entity) -> PublishedPart | Unmet:
        """What of an own entity is published, and to whom; or which condition it does not meet."""
        if entity.origin is not None:
            return Unmet("origin", "It is a replica, which its origin alone publishes.")
        if entity.type not in self.types:
            return Unmet("type", f"Entities of type {entity.type} are private.")
        if not entity.public and entity.pending is None:
            return Unmet("public", "It is not public here.")
        visibility = visibility_of(entity.body)
        if visibility is not FOR_EVERYONE:
            return Unmet("visibility", visibility.reason)
        return self.shares(entity)

    def shares(self, entity: Entity) -> PublishedPart | Unmet:
        """What of an own entity of a catalogue type members get, whoever they are."""
        part = self._parts.published(entity)
        if self._conditions is not None:
            unmet = self._conditions.of_entity(("publish",), self.did, part.type, part.body)
            if unmet is not None:
                return unmet
        return PublishedPart(part)

    def withheld_by(self, entity: Entity) -> str | None:
        """Name of the operator's condition by which nothing of an own entity leaves; None: there is none."""
        if self._conditions is None or not self._conditions.has("publish"):
            return None
        published = self.publishes(entity)
        name = published.condition if isinstance(published, Unmet) else ""
        return name if name.startswith("publish.cedar") else None

    def wants(self, event: LifecycleEvent) -> Unmet | None:
        """The condition that an event of another member does not meet; None: its entity is retrieved."""
        if event.issuer in self._dropped:
            return FORMER
        return self._conditions.of_event(event) if self._conditions is not None else None

    def accepts(self, entity: Entity | EntityDraft) -> Unmet | None:
        """The condition that a replica does not meet, with its verified bytes; None: it is stored.

        It has to meet those on events, too: with what its bytes say, whatever its event said.
        """
        assert entity.origin is not None, "an own entity is not taken in"
        if entity.origin in self._dropped:
            return FORMER
        visibility = visibility_of(entity.body)
        if visibility is not FOR_EVERYONE:
            return Unmet("visibility", visibility.reason)
        return self.accepts_addressed(entity)

    def accepts_addressed(self, entity: Entity | EntityDraft) -> Unmet | None:
        """The same of a replica that its origin has sealed for this marketplace, whatever its visibility.

        What is confidential between parties is no matter of the catalogue, and conditions do not keep it out.
        """
        assert entity.origin is not None, "an own entity is not taken in"
        if self._conditions is None or entity.type not in self.types:
            return None
        return self._conditions.of_entity(("retrieve", "store"), entity.origin, entity.type, entity.body)

    @property
    def files(self) -> tuple[PolicyFile, ...]:
        """The operator's conditions in force, by file."""
        return self._conditions.policies if self._conditions is not None else ()

    def explain(self, action: Action, entity: Entity) -> tuple[Unmet | None, tuple[PolicyOutcome, ...]]:
        """The condition that an entity does not meet, and each policy with whether it applies.

        Args:
            action: `publish`, of an own entity; `retrieve` or `store`, of a replica.
            entity: As it is here.
        """
        issuer, unmet = entity.origin or self.did, None
        if action == "publish":
            published = self.publishes(entity)
            unmet = published if isinstance(published, Unmet) else None
        elif action == "store":
            unmet = self.accepts(entity)
        elif self._conditions is not None:
            unmet = self._conditions.of_entity((action,), issuer, entity.type, entity.body)
        if self._conditions is None:
            return unmet, ()
        return unmet, self._conditions.explain(action, issuer, entity.type, entity.body)

    def may_retrieve(self, member: str | None, entity: Entity) -> Entity | None:
        """What of an entity that is here a member may have; None: nothing.

        Args:
            member: DID of whoever signed the request; None: nobody did.
            entity: Ours, or a replica, which is what its origin published.
        """
        if not entity.public:
            return None
        if entity.origin is not None:
            return entity
        published = self.publishes(entity)
        if isinstance(published, Unmet):
            return None
        is_audience = published.audience is None or member in published.audience
        return published.entity if is_audience else None
