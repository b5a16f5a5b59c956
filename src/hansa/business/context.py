"""What the handlers work with: the parts of a marketplace, its choices, and what is served at one path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hansa.business.http.messages import Request
from hansa.business.jobs.files import JobFiles
from hansa.business.models import Api, Attribute, Models, Resource
from hansa.business.query import OneRequest, fields_of
from hansa.business.representation import Representation, Selection, collection_address
from hansa.business.rules import Rules
from hansa.business.validation.extensions import Extensions
from hansa.business.validation.validator import UnknownAttributes, Validator
from hansa.core.access import Authenticate, Caller
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store import Entity, Store

OPERATOR: Final = "operator"


class Policies(msgspec.Struct, frozen=True):
    """What an operator chooses where TM Forum leaves a choice."""

    unknown_attributes: UnknownAttributes = "refuse"
    """Attributes that the model does not know, in a body that announces no extension."""


class Context(msgspec.Struct, frozen=True):
    """What every handler works with."""

    store: Store
    models: Models
    authenticate: Authenticate
    clock: Clock
    entropy: Entropy
    limits: Limits
    endpoint: str
    """Where this marketplace is reached, without a trailing slash."""
    rules: Rules
    policies: Policies = Policies()
    extensions: Extensions = Extensions()
    """The schemas that the operator registered."""
    jobs: JobFiles | None = None
    """Where import and export jobs have their files; None when they are not worked off here."""

    def writer(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller, who may write.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
        """
        caller = self.authenticate(headers)
        if not caller.is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "Writing needs a bearer token.")
        if not caller.may_write:
            raise Refused(Code.FORBIDDEN, "This token gives no right to write.")
        return caller


class ServedResource:
    """One resource of an API, as it is served here."""

    def __init__(self, api: Api, resource: Resource, validator: Validator, context: Context) -> None:
        self.api = api
        self.resource = resource
        self.validator = validator
        self.path = api.base_path + resource.path
        """With `{…Id}` for the parent of a sub-resource."""
        self.is_private = resource.visibility == "private"
        self.attributes: Mapping[str, Attribute] = api.attributes_of(resource.type)
        self.is_below_parent = resource.parent_name is not None
        self.parent = _parent(api, resource)
        self._context = context
        self._shown = None if self.is_below_parent else self._representation(None)

    def shown(self, parent_id: str | None) -> Representation:
        """How its entities (below that parent) are shown."""
        return self._shown if self._shown is not None else self._representation(parent_id)

    def _representation(self, parent_id: str | None) -> Representation:
        return Representation(collection_address(self._context.endpoint, self.api, self.resource, parent_id))

    def asked(self, request: Request) -> OneRequest | None:
        """What a request about one entity asks for by its query string; None when it has none.

        Raises:
            Refused: `Code.INVALID`, for what means nothing there.
        """
        if not request.query_string:
            return None
        return fields_of(request.query_string, self.api, self.resource, request.limits)

    def chosen(self, request: Request) -> Selection | None:
        """What of the entity it wants to see; None for all of it. Raises as `asked`."""
        asked = self.asked(request)
        return None if asked is None else asked.fields

    def reader(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller, who may read.

        Raises:
            Refused: `Code.UNAUTHENTICATED`.
        """
        caller = self._context.authenticate(headers)
        if self.is_private and not caller.is_authenticated:
            raise Refused(
                Code.UNAUTHENTICATED,
                f"Entities of type {self.resource.type} are private: send a bearer token.",
            )
        return caller

    def not_found(self, entity_id: str) -> Refused:
        """What is said of an entity that is not here, or not for this caller."""
        return Refused(Code.NOT_FOUND, f"There is no {self.resource.name} {entity_id[:300]!r}.")

    async def check_parent(self, parent_id: str | None, *, public_only: bool) -> Entity | None:
        """The parent of a sub-resource; None for other resources.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        if self.parent is None:
            return None
        found = await self._context.store.entity(parent_id or "")
        if found is None or found.type != self.parent.collection or (public_only and not found.public):
            raise Refused(Code.NOT_FOUND, f"There is no {self.parent.name} {(parent_id or '')[:300]!r}.")
        return found


def _parent(api: Api, resource: Resource) -> Resource | None:
    if resource.parent_name is None:
        return None
    return next(one for one in api.resources if one.path == resource.parent_name)
