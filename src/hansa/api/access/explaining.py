"""`GET /policies/explain`: which access policies decide about a caller and an entity, and why.

Callers ask about themselves, and about entities that they may read; operators about anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import json_response
from hansa.business.context import Context
from hansa.business.rights.reading import EntityReader
from hansa.business.rights.targets import access_target
from hansa.business.visibility import PublicParts
from hansa.core.access import OPERATOR, READERS, Action, Caller, EntityFacts, Power
from hansa.core.certificates.elsi import read_organization
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE, headers_of
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import PolicyApplies
from hansa.store import Entity

EXPLAIN_PATH: Final = "/policies/explain"
_OF_OTHERS: Final = ("organization", "power", "role")
_ACTIONS: Final = {
    "read": Action.READ,
    "create": Action.CREATE,
    "change": Action.CHANGE,
    "delete": Action.DELETE,
}


class ExplainedDecision(msgspec.Struct, frozen=True):
    """A decision, and the policies that made it."""

    id: str
    type: str
    action: str
    """What would be done, as `create`."""
    is_allowed: bool = msgspec.field(name="isAllowed")
    """Whether the policies allow it."""
    code: str | None = None
    reason: str | None = None
    """Why it is refused."""
    policies: tuple[PolicyApplies, ...] = ()
    """Those that apply; to operators, all."""


class ExplainApi:
    """Serves explanations."""

    def __init__(self, context: Context, rights: AccessRights) -> None:
        self._context = context
        self._rights = rights
        self._aliases = context.aliases
        self._parts = PublicParts(context.models)

    async def explain(self, request: Request) -> Response:
        """`GET /policies/explain`.

        Raises:
            Refused: `Code.UNAUTHENTICATED`; `Code.FORBIDDEN`, of a question about others; `Code.NOT_FOUND`;
                `Code.INVALID`.
        """
        asker = self._context.authenticate(headers_of(request.headers.raw))
        if not asker.is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "This needs a bearer token.")
        parameters = Parameters(request, ("id", "action", *_OF_OTHERS), self._context.limits)
        entity_id, action = parameters.text("id"), parameters.text("action") or "read"
        if entity_id is None:
            raise Refused(Code.INVALID, "id is missing: which entity the decision is about.")
        if action not in _ACTIONS:
            raise Refused(Code.INVALID, f"action is one of {', '.join(_ACTIONS)}.")
        caller = self._subject(asker, parameters)
        entity = await self._context.store.entity(entity_id)
        aliases = await self._aliases.of(asker.organization)
        reader = EntityReader(asker, aliases, self._context, self._parts)
        if entity is None or reader.shown(entity) is None:
            raise _absent(entity_id)
        decided = await self._decided(caller, entity, action)
        if OPERATOR not in asker.roles:
            applying = tuple(one for one in decided.policies if one.applies)
            decided = msgspec.structs.replace(decided, policies=applying)
        return json_response(decided, headers=NO_STORE)

    async def decision(self, caller: Caller, entity_id: str, action: str) -> ExplainedDecision:
        """What is decided about somebody and an entity, with all policies.

        Args:
            caller: About whom the question is.
            entity_id: Of the entity.
            action: As `create`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        entity = await self._context.store.entity(entity_id)
        if entity is None:
            raise _absent(entity_id)
        return await self._decided(caller, entity, action)

    async def _decided(self, caller: Caller, entity: Entity, action: str) -> ExplainedDecision:
        target = access_target(*self._context.models.served(entity.type))
        facts = EntityFacts(msgspec.json.decode(entity.body), entity.public)
        aliases = await self._aliases.of(caller.organization)
        refusal, policies = self._rights.explain(caller, _ACTIONS[action], target, facts, aliases)
        return ExplainedDecision(
            entity.id,
            entity.type,
            action,
            refusal is None,
            None if refusal is None else str(refusal.code),
            None if refusal is None else refusal.reason,
            policies,
        )

    def _subject(self, asker: Caller, parameters: Parameters) -> Caller:
        """About whom the question is."""
        organization, powers = parameters.text("organization"), parameters.texts("power")
        roles = parameters.texts("role")
        if organization is None and not powers and not roles:
            return asker
        if OPERATOR not in asker.roles:
            raise Refused(Code.FORBIDDEN, "Only operators ask about others.")
        return caller_in_question(organization, powers, roles)


def caller_in_question(organization: str | None, powers: Iterable[str], roles: Collection[str]) -> Caller:
    """Somebody about whom a question is.

    Args:
        organization: As `VATES-12345678`; None: of none.
        powers: As `DOME/ProductOffering/Create`.
        roles: Of a token.

    Raises:
        Refused: `Code.INVALID`.
    """
    if organization is not None:
        organization = read_organization(organization)
        if organization is None:
            raise Refused(Code.INVALID, "organization is an identifier as VATES-12345678.")
    if not READERS.issuperset(roles):
        raise Refused(Code.INVALID, f"role is one of {', '.join(sorted(READERS))}.")
    return Caller("explained", frozenset(roles), organization=organization, powers=tuple(map(_power, powers)))


def _power(text: str) -> Power:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise Refused(Code.INVALID, "power has the form DOME/ProductOffering/Create.")
    return Power(parts[0].upper(), parts[1], (parts[2],))


def _absent(entity_id: str) -> Refused:
    return Refused(Code.NOT_FOUND, f"There is no entity {entity_id[:300]!r}.")
