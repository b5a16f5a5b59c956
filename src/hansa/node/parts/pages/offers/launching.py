"""The conditions of publishing an own entity: decided by whatever decides about the launch itself.

Its content is checked by a dry run of the operation that would change it; who gets it, by the distribution
policy; who may launch it, by the rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.dry_runs import dry_patch
from hansa.business.models.closure import ClosureNeeds
from hansa.business.operations.api_operations import ResourceOperations
from hansa.business.validation.violations import InvalidBody
from hansa.core.access import Caller
from hansa.core.canonical import canonical_json
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, HansaError
from hansa.core.instants import instant
from hansa.core.visibility import FOR_EVERYONE, visibility_of
from hansa.portal.catalogue.fields import fields_in, text_in
from hansa.portal.providers.offers.launching import LaunchCondition, LaunchReason
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Entity
from hansa.store.tables import publications

LAUNCHED: Final = "Launched"
NEEDS_MAX: Final = 50
MISSING_MAX: Final = 20
SAID_ELSEWHERE: Final = frozenset({Code.TRANSITION_REFUSED, Code.FORBIDDEN, Code.POWER_MISSING})
"""Refusals that other conditions say: the state, and the rights."""


class LaunchConditions:
    """Looks at them.

    Args:
        context: Of the APIs.
        policy: What leaves this marketplace.
        needs: What entities need.
    """

    def __init__(self, context: Context, policy: DistributionPolicy, needs: ClosureNeeds) -> None:
        self._context = context
        self._policy = policy
        self._needs = needs

    async def of(
        self, operations: ResourceOperations, caller: Caller, entity: Entity, refusal: str
    ) -> tuple[LaunchCondition, ...]:
        """The conditions of launching an entity.

        Args:
            operations: Of its type.
            caller: Who would launch it.
            entity: Of this marketplace.
            refusal: Why the person may not change it; empty: it may.
        """
        fields: dict[str, Any] = msgspec.json.decode(entity.body)
        row = (await publications.states(self._context.store, (entity.id,))).get(entity.id)
        return (
            LaunchCondition("right", not refusal, detail=refusal),
            self._status(operations, fields),
            *await self._content(operations, caller, entity),
            *await self._needed(entity, fields),
            self._visibility(entity),
            self._rule(operations, entity, fields),
            _identifier(row),
            _period(fields, rfc3339(self._context.clock.now())),
        )

    def _status(self, operations: ResourceOperations, fields: Mapping[str, Any]) -> LaunchCondition:
        resource = operations.resource
        machine = self._context.models.lifecycle(resource)
        status = fields.get(resource.status_attribute or "")
        if machine is None or not isinstance(status, str) or machine.allows(status, LAUNCHED):
            return LaunchCondition("status", True)
        following = tuple(machine.successors(status)) if status in machine.states else ()
        more = f"only {', '.join(following)} can follow" if following else "nothing can follow; make a copy"
        return LaunchCondition(
            *("status", False),
            detail=f"It is {status}: {more}.",
            reason="next" if following else "last",
            value=status,
            following=following,
        )

    async def _content(
        self, operations: ResourceOperations, caller: Caller, entity: Entity
    ) -> tuple[LaunchCondition, ...]:
        try:
            patch = {status_attribute(operations): LAUNCHED}
            missing = await dry_patch(operations, self._context, caller, entity.id, patch)
        except InvalidBody as error:
            return tuple(LaunchCondition("content", False, detail=str(one)) for one in error.violations)
        except HansaError as error:
            if error.code in SAID_ELSEWHERE:
                return ()
            return (LaunchCondition("content", False, detail=error.message),)
        if missing:
            detail = f"The model requires also: {', '.join(missing[:MISSING_MAX])}."
            return (LaunchCondition("content", False, False, detail=detail),)
        return (LaunchCondition("content", True),)

    async def _needed(self, entity: Entity, fields: Mapping[str, Any]) -> tuple[LaunchCondition, ...]:
        ids = self._needs.of(entity, fields)[:NEEDS_MAX]
        others = await self._context.store.entities(ids) if ids else {}
        return tuple(self._need(each, others.get(each)) for each in ids)

    def _need(self, entity_id: str, other: Entity | None) -> LaunchCondition:
        if other is None:
            reason = "It is not here. It may be another marketplace's, and on its way."
            return LaunchCondition("need", False, False, entity_id, reason, "absent")
        published = None if other.origin is not None else self._policy.publishes(other)
        if isinstance(published, Unmet):
            why: LaunchReason | None = "private" if published.condition == "public" else None
            return LaunchCondition("need", False, True, entity_id, published.reason, why)
        return LaunchCondition("need", True, True, entity_id)

    def _visibility(self, entity: Entity) -> LaunchCondition:
        visibility = visibility_of(entity.body)
        is_met = visibility is FOR_EVERYONE
        if is_met:
            return LaunchCondition("visibility", True, False)
        audience = visibility.audience
        why: LaunchReason | None = audience if audience in ("here", "chosen") else None
        return LaunchCondition("visibility", False, False, detail=visibility.reason, reason=why)

    def _rule(
        self, operations: ResourceOperations, entity: Entity, fields: dict[str, Any]
    ) -> LaunchCondition:
        body = canonical_json({**fields, status_attribute(operations): LAUNCHED})
        shared = self._policy.shares(msgspec.structs.replace(entity, body=body, public=True))
        if isinstance(shared, Unmet):
            return LaunchCondition("rule", False, False, detail=f"{shared.reason} ({shared.condition})")
        return LaunchCondition("rule", True, False)


def status_attribute(operations: ResourceOperations) -> str:
    """The attribute that holds the state."""
    name = operations.resource.status_attribute
    assert name is not None, "what is launched has a state"
    return name


def _identifier(row: publications.Publication | None) -> LaunchCondition:
    if row is None or row.refusal_code is None:
        return LaunchCondition("identifier", True, False)
    detail = f"{row.refusal_message or ''} ({row.refusal_code})".strip()
    return LaunchCondition("identifier", False, False, detail=detail)


def _period(fields: Mapping[str, Any], now: str) -> LaunchCondition:
    """Whether an entity is valid now; outside of its period it is published, and said not to be valid."""
    period, moment = fields_in(fields, "validFor"), instant(now) or ""
    start, end = text_in(period, "startDateTime"), text_in(period, "endDateTime")
    if (at := instant(start)) is not None and at > moment:
        detail = f"Its validity begins at {start}."
        return LaunchCondition("period", False, False, "", detail, "begins", start)
    if (at := instant(end)) is not None and at < moment:
        return LaunchCondition("period", False, False, "", f"Its validity ended at {end}.", "ended", end)
    return LaunchCondition("period", True, False)
