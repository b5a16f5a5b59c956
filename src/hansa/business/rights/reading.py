"""What of entities of any collection a caller may see, where one answer shows several: filled references."""

from __future__ import annotations

from hansa.business.context import Context
from hansa.business.rights.bound import BoundRule
from hansa.business.rights.targets import access_target
from hansa.business.visibility import PublicParts
from hansa.core.access import Action, Caller, Decision, EntityFacts
from hansa.store import Entity


class EntityReader:
    """Decides for one caller.

    Args:
        caller: Who reads.
        aliases: What the caller's organisation is called here.
        context: Has who decides.
        parts: What of an entity everybody sees.
    """

    def __init__(self, caller: Caller, aliases: frozenset[str], context: Context, parts: PublicParts) -> None:
        self._caller = caller
        self._aliases = aliases
        self._context = context
        self._parts = parts
        self._decisions: dict[str, tuple[Decision, BoundRule | None]] = {}
        """By collection."""

    def shown(self, entity: Entity) -> bytes | None:
        """The part of an entity that the caller may see; None: nothing."""
        decision, bound = self._decided(entity.type)
        if decision.refusal is not None:
            return None
        if bound is None and not decision.public_only:
            return entity.body
        public_part = self._parts.body(entity.type, entity.body)
        if bound is None:
            return public_part if entity.public else None
        if entity.parent is not None:  # its parent decides, and is not looked at here
            return public_part if entity.public else None
        if not bound.admits(entity):
            return None
        if public_part is entity.body or bound.sees_private_part(entity.body):
            return entity.body
        return public_part

    def admits(self, collection: str, facts: EntityFacts) -> bool:
        """Whether the caller may read an entity of a collection, by what is known of it."""
        decision, bound = self._decided(collection)
        if decision.refusal is not None:
            return False
        if bound is None:
            return facts.is_public or not decision.public_only
        return bound.admits_facts(facts)

    def shown_below(self, entity: Entity, parent: Entity) -> bytes | None:
        """The part of a sub-resource that the caller may see; None: nothing."""
        if self.shown(parent) is None:
            return None
        if self.sees_all_below(parent):
            return entity.body
        return self._parts.body(entity.type, entity.body) if entity.public else None

    def sees_all_below(self, parent: Entity) -> bool:
        """Whether the caller sees what is below an entity, also if that is not public."""
        decision, bound = self._decided(parent.type)
        if decision.refusal is not None:
            return False
        if bound is None:
            return not decision.public_only
        return bound.admits(parent) and bound.sees_private_part(parent.body)

    def _decided(self, collection: str) -> tuple[Decision, BoundRule | None]:
        known = self._decisions.get(collection)
        if known is None:
            target = access_target(*self._context.models.served(collection))
            decision = self._context.authorize(self._caller, Action.READ, target)
            bound = None if decision.rule is None else BoundRule(decision.rule, target, self._aliases)
            known = self._decisions[collection] = decision, bound
        return known
