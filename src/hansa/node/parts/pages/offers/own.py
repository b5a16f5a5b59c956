"""The own entities of whoever offers something (`hansa.portal.providers.offers.own.OwnCatalogue`).

To an organisation belong the entities of this marketplace that name it as owner or seller. The operator, who
acts for none, sees all that the marketplace itself is the origin of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.models.closure import ClosureNeeds
from hansa.business.operations.api_operations import ApiOperations, ResourceOperations
from hansa.business.operations.writes import Preconditions
from hansa.business.patches import MERGE_PATCH
from hansa.business.rights.targets import access_target
from hansa.business.visibility import PublicParts
from hansa.core.access import Action, Caller
from hansa.core.errors import Code, Refused
from hansa.core.work import Checkpoint
from hansa.core.yielding import Yielding
from hansa.identity.rights.parties import parties_of
from hansa.node.parts.pages.offers.launching import LAUNCHED, LaunchConditions, status_attribute
from hansa.node.parts.pages.offers.ownership import entities_of, names_organization, refusal_of
from hansa.node.parts.pages.offers.places import Place, no_place, place_of, place_text
from hansa.node.parts.pages.offers.publication import publication_of
from hansa.portal.catalogue.fields import text_in
from hansa.portal.providers.offers.launching import LaunchCondition
from hansa.portal.providers.offers.own import (
    KINDS,
    PAGE_SIZE,
    ChangeAction,
    Kind,
    KindCount,
    OwnEntity,
    OwnPage,
    OwnQuery,
    PublicationProblem,
    Stage,
)
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.store import AllOf, Condition, Entity, Filter, Query, SortKey, Test
from hansa.store.operators import GTE
from hansa.store.tables import publications

STATES: Final[Mapping[Stage, tuple[str, ...]]] = {
    "launched": (LAUNCHED,),
    "retired": ("Obsolete", "Retired"),
}
"""By stage; all others are those of drafts."""
STATUS_AFTER: Final[Mapping[ChangeAction, str]] = {
    "launch": LAUNCHED,
    "retire": "Retired",
    "withdraw": "Active",
}
WALKED_AT_ONCE: Final = 50
"""Before others on the event loop get their turn."""
COUNT_MAX_DIGITS: Final = 9
WALKED_MAX: Final = 2000
"""Entities of a marketplace that are looked at for one page of its operator's."""
PROBLEMS_MAX: Final = 25
LOOKED_AT_MAX: Final = 500
"""Rows of the whole marketplace among which the problems of one organisation are."""

Fields = Mapping[str, Any]


class StoredOwnCatalogue:
    """The own entities in the store.

    Args:
        operations: Of all APIs.
        context: Of the APIs.
        policy: What leaves this marketplace.
        name: The name of a member, by its DID.
    """

    def __init__(
        self,
        operations: Iterable[ApiOperations],
        context: Context,
        policy: DistributionPolicy,
        name: Callable[[str | None], str],
    ) -> None:
        kinds: Sequence[str] = KINDS
        self._operations: Mapping[str, ResourceOperations] = {
            collection: api[collection]
            for api in operations
            for collection in api.by_collection
            if collection in kinds
        }
        self._context = context
        self._store = context.store
        self._policy = policy
        self._parts = PublicParts(context.models)
        self._name = name
        self._aliases = context.aliases
        self._launching = LaunchConditions(context, policy, ClosureNeeds(context.models))
        self._yielding = Yielding()
        self._parties = {
            kind: access_target(*context.models.served(kind)).party_attributes for kind in self._operations
        }

    async def counts(self, caller: Caller) -> tuple[KindCount, ...]:
        """See `OwnCatalogue`."""
        if caller.organization is None:
            return await self._counts_of_marketplace()
        owned = await self._named(caller)
        counts: list[KindCount] = []
        for kind in KINDS:
            every = await self._total(caller, kind, (owned,))
            launched = await self._total(caller, kind, (owned, *self._in_stage(kind, "launched")))
            retired = await self._total(caller, kind, (owned, *self._in_stage(kind, "retired")))
            counts.append(KindCount(kind, every - launched - retired, launched, retired))
        return tuple(counts)

    async def page(self, caller: Caller, requested: OwnQuery) -> OwnPage:
        """See `OwnCatalogue`."""
        if caller.organization is None:
            return await self._walked(caller, requested)
        after = place_of(requested.after) if requested.after else None
        matches = _matching(requested, status_attribute(self._operations[requested.kind]))

        def holds(fields: Any, checkpoint: Checkpoint) -> bool:
            checkpoint()
            return matches(fields) and (after is None or _place(fields) > after)

        conditions = [await self._named(caller), *self._in_stage(requested.kind, requested.stage)]
        if requested.stage == "draft" or requested.text or after is not None:
            conditions.append(Test("own entities", holds))
        read = self._operations[requested.kind].read
        query = Query(
            requested.kind,
            (AllOf(tuple(conditions)),),
            (SortKey(("name",)), SortKey(("id",))),
            limit=PAGE_SIZE + 1,
            public_only=False,
        )
        page = await read.page(await read.scope(caller), query)
        entities = await entities_of(self._store, page.ids[:PAGE_SIZE])
        has_more = page.is_cut or len(page.ids) > PAGE_SIZE
        last = msgspec.json.decode(entities[-1].body) if entities and has_more else None
        shown = await self._shown([one for one in entities if await self._is_own(caller, one)])
        return OwnPage(shown, "" if last is None else place_text(_place(last)))

    async def one(self, caller: Caller, entity_id: str) -> OwnEntity:
        """See `OwnCatalogue`."""
        return (await self._shown((await self._entity(caller, entity_id),)))[0]

    async def problems(self, caller: Caller) -> tuple[PublicationProblem, ...]:
        """See `OwnCatalogue`."""
        waiting = dict(await publications.waiting(self._store, "", LOOKED_AT_MAX))
        refused = [one.entity_id for one in await publications.refusals(self._store, LOOKED_AT_MAX)]
        known = await self._store.entities(tuple(dict.fromkeys((*refused, *waiting))))
        own: list[Entity] = []
        for one in known.values():
            if len(own) == PROBLEMS_MAX:
                break
            if one.type in self._operations and await self._is_own(caller, one) and one.origin is None:
                own.append(one)
        return tuple(PublicationProblem(one, waiting.get(one.id, "")) for one in await self._shown(own))

    async def refusal(self, caller: Caller, action: ChangeAction, entity_id: str) -> str:
        """See `OwnCatalogue`."""
        return await self._refusal(caller, action, await self._entity(caller, entity_id))

    async def conditions(self, caller: Caller, entity_id: str) -> tuple[LaunchCondition, ...]:
        """See `OwnCatalogue`."""
        entity = await self._entity(caller, entity_id)
        if entity.origin is not None:
            return ()
        refusal = await self._refusal(caller, "launch", entity)
        return await self._launching.of(self._operations[entity.type], caller, entity, refusal)

    async def content(self, caller: Caller, entity_id: str) -> bytes:
        """See `OwnCatalogue`."""
        return self._parts.published(await self._entity(caller, entity_id)).body

    async def change(self, caller: Caller, action: ChangeAction, entity_id: str, version: str) -> None:
        """See `OwnCatalogue`."""
        entity = await self._entity(caller, entity_id)
        operations = self._operations[entity.type]
        expected = Preconditions(versions=frozenset({version}))
        if action == "delete":
            await operations.delete.delete(operations.delete.authorize(caller), entity_id, None, expected)
        else:
            patch = {status_attribute(operations): STATUS_AFTER[action]}
            grant = operations.update.authorize(caller)
            await operations.update.patch(grant, entity_id, MERGE_PATCH, patch, None, expected)

    # -- what belongs to whom ------------------------------------------------------------------------------

    async def _entity(self, caller: Caller, entity_id: str) -> Entity:
        """An own entity.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        entity = await self._store.entity(entity_id)
        if entity is None or entity.type not in self._operations or not await self._is_own(caller, entity):
            raise Refused(Code.NOT_FOUND, f"Nothing of yours is here under {entity_id[:300]!r}.")
        return entity

    async def _is_own(self, caller: Caller, entity: Entity) -> bool:
        if caller.organization is None:
            return entity.origin is None
        aliases = await self._aliases.of(caller.organization)
        fields = msgspec.json.decode(entity.body)
        owners = parties_of(fields, self._parties[entity.type], caller.organization, aliases).owners
        await self._yielding.after(len(entity.body))
        return caller.organization in owners

    async def _named(self, caller: Caller) -> Condition:
        """That an entity names the caller's organisation as a party."""
        assert caller.organization is not None, "the operator's entities are those of the marketplace"
        return names_organization(caller.organization, await self._aliases.of(caller.organization))

    async def _refusal(self, caller: Caller, action: ChangeAction, entity: Entity) -> str:
        needed = Action.DELETE if action == "delete" else Action.CHANGE
        return await refusal_of(self._operations[entity.type].served, caller, needed, entity)

    # -- lists and counts ----------------------------------------------------------------------------------

    async def _total(self, caller: Caller, kind: Kind, conditions: tuple[Condition, ...]) -> int:
        read = self._operations[kind].read
        query = Query(kind, conditions, limit=1, public_only=False)
        return (await read.page(await read.scope(caller), query)).total

    async def _counts_of_marketplace(self) -> tuple[KindCount, ...]:
        """Of what is public, by what was announced last; of what is not, by the store."""
        every = await self._store.counts()
        announced = await publications.counts_by_status(self._store)
        counts: list[KindCount] = []
        for kind in KINDS:
            retired = sum(announced.get((kind, status), 0) for status in STATES["retired"])
            public = every.get((kind, True, True), 0)
            counts.append(KindCount(kind, every.get((kind, True, False), 0), public - retired, retired))
        return tuple(counts)

    async def _walked(self, caller: Caller, requested: OwnQuery) -> OwnPage:
        """A page of what this marketplace is the origin of, by name: replicas among it are passed over.

        It ends at a name, and at how many of that name were passed: what is added comes after these.
        """
        name, passed = _name_and_count(requested.after) if requested.after else (None, 0)
        matches = _matching(requested, status_attribute(self._operations[requested.kind]))
        read, filters = self._operations[requested.kind].read, self._walk_conditions(requested, name)
        scope, result = await read.scope(caller), list[Entity]()
        index, start = passed, 0  # in the list that begins with the name; where its present name begins
        while index < passed + WALKED_MAX:
            query = Query(requested.kind, filters, (SortKey(("name",)),), index, WALKED_AT_ONCE, False)
            page = await read.page(scope, query)
            for entity in await entities_of(self._store, page.ids):
                fields = msgspec.json.decode(entity.body)
                if _place(fields)[0] != name:
                    name, start = _place(fields)[0], index
                index += 1
                if entity.origin is None and matches(fields):
                    result.append(entity)
                if len(result) == PAGE_SIZE:
                    return OwnPage(await self._shown(result), place_text((name or "", str(index - start))))
            if len(page.ids) < WALKED_AT_ONCE and not page.is_cut:
                return OwnPage(await self._shown(result))
        return OwnPage(await self._shown(result), place_text((name or "", str(index - start))))

    def _walk_conditions(self, requested: OwnQuery, name: str | None) -> tuple[Condition, ...]:
        """What an index knows of what is requested, from a name on."""
        named = () if name is None else (Filter(("name",), (name,), GTE),)
        return (*named, *self._in_stage(requested.kind, requested.stage))

    async def _shown(self, entities: Sequence[Entity]) -> tuple[OwnEntity, ...]:
        rows = await publications.states(self._store, [one.id for one in entities if one.origin is None])
        return tuple(self._one_shown(one, rows.get(one.id)) for one in entities)

    def _one_shown(self, entity: Entity, row: publications.Publication | None) -> OwnEntity:
        fields = msgspec.json.decode(entity.body)
        name = text_in(fields, "name")
        status = text_in(fields, status_attribute(self._operations[entity.type]))
        kind = next(one for one in KINDS if one == entity.type)
        return OwnEntity(
            id=entity.id,
            kind=kind,
            name=name if name.strip() else entity.id,
            status=status,
            stage=_stage(status),
            version=entity.hashlink,
            modified=entity.modified,
            is_public=entity.public,
            publication=publication_of(entity, row, self._policy),
            actions=self._actions(entity, status),
            origin="" if entity.origin is None else self._name(entity.origin),
        )

    def _actions(self, entity: Entity, status: str) -> tuple[ChangeAction, ...]:
        """What the state of an entity allows."""
        if entity.origin is not None:
            return ()
        machine = self._context.models.lifecycle(self._operations[entity.type].resource)
        assert machine is not None, "all kinds have one"
        actions: list[ChangeAction] = []
        if status != LAUNCHED and machine.allows(status, LAUNCHED):
            actions.append("launch")
        if status == LAUNCHED:
            actions += ("retire", "withdraw")
        return (*actions, "delete")

    def _in_stage(self, kind: Kind, stage: Stage | None) -> tuple[Filter, ...]:
        """That the state of an entity is one of a stage; an index knows it of no draft."""
        if stage is None or stage not in STATES:
            return ()
        return (Filter((status_attribute(self._operations[kind]),), STATES[stage]),)


def _stage(status: str) -> Stage:
    return next((stage for stage, states in STATES.items() if status in states), "draft")


def _matching(requested: OwnQuery, attribute: str) -> Callable[[Fields], bool]:
    """Whether an entity is of a stage, by the attribute that holds its state, and has a text."""
    text = requested.text.casefold()

    def matches(fields: Fields) -> bool:
        if requested.stage is not None and _stage(text_in(fields, attribute)) != requested.stage:
            return False
        return not text or any(text in str(fields.get(name, "")).casefold() for name in ("name", "id"))

    return matches


def _place(fields: Fields) -> Place:
    return text_in(fields, "name"), text_in(fields, "id")


def _name_and_count(text: str) -> tuple[str, int]:
    """Where a page of a whole marketplace ended: at a name, and how many of that name were passed.

    Raises:
        Refused: `Code.INVALID`.
    """
    name, count = place_of(text)
    if not (count.isascii() and count.isdigit() and len(count) <= COUNT_MAX_DIGITS):
        raise no_place()
    return name, int(count)
