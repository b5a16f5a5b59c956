"""The one handler of all resources: what the model says of a resource is all that tells it from others.

Reading: entities of private types, and drafts of types with a lifecycle, exist for callers with a token only; for
others they are neither found nor listed nor counted. Writing needs a caller who may write, and is refused for
replicas: their origin, another marketplace, is their only writer.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansa.business.http import (
    CONTENT_TYPE,
    JSON_TYPES,
    PATCH_TYPES,
    Answer,
    Header,
    Request,
)
from hansa.business.merge_patch import merge_patch
from hansa.business.models import Api, Models, Resource
from hansa.business.query import ListRequest, fields_of, list_request
from hansa.business.representation import PLAIN_IDENTIFIER, Representation, Selection
from hansa.business.validation import Validator, Violation, refuse
from hansa.core.caller import Authenticate, Caller
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy, new_entity_id
from hansa.core.limits import Limits
from hansa.store import Entity, EntityDraft, Store, Transaction

FIXED: Final = frozenset({"id", "href"})
"""Attributes that no patch changes; `href` follows from `id`."""


class Surroundings(msgspec.Struct, frozen=True):
    """What every handler works with."""

    store: Store
    models: Models
    authenticate: Authenticate
    clock: Clock
    entropy: Entropy
    limits: Limits
    endpoint: str
    """Where this marketplace is reached, without a trailing slash."""


class ResourceHandler:
    """Answers requests for one resource."""

    def __init__(self, api: Api, resource: Resource, validator: Validator, around: Surroundings) -> None:
        self.api = api
        self.resource = resource
        self.path = api.base_path + resource.path
        self._validator = validator
        self._around = around
        self._store = around.store
        self._authenticate = around.authenticate
        self._is_private = resource.visibility == "private"
        self._attributes = api.attributes_of(resource.type)
        self._shown = Representation(around.endpoint + self.path)

    # -- reading ----------------------------------------------------------------------------------------------

    async def retrieve(self, request: Request, entity_id: str) -> Answer:
        """GET of one entity: 200, 304, 400, 401, 404 or 406."""
        request.accept_json()
        caller = self._reader(request)
        chosen = fields_of(request.query_string, request.limits)
        entity = await self._store.entity(entity_id)
        if (
            entity is None
            or entity.type != self.resource.type
            or not (entity.public or caller.is_authenticated)
        ):
            raise self._not_found(entity_id)
        if chosen is not None:
            return Answer(200, self._shown.part(entity.id, entity.body, chosen), (CONTENT_TYPE,))
        etag = _etag(entity)
        unless = request.headers.get(b"if-none-match")
        if unless is not None and _names(unless, etag):
            return Answer(304, b"", ((b"etag", etag),))
        return Answer(200, self._shown.whole(entity.id, entity.body), (CONTENT_TYPE, (b"etag", etag)))

    async def list(self, request: Request, _: str) -> Answer:
        """GET of the collection: 200, 400, 401 or 406."""
        request.accept_json()
        caller = self._reader(request)
        asked = list_request(
            request.query_string,
            self.api,
            self.resource.type,
            self._shown.collection,
            request.limits,
            public_only=not caller.is_authenticated,
        )
        page = await self._store.list(asked.query)
        headers = (
            CONTENT_TYPE,
            (b"x-total-count", str(page.total).encode()),
            (b"x-result-count", str(len(page.ids)).encode()),
            *self._links(asked, page.total),
        )
        return Answer(200, self._shown.listed(page.ids, page.bodies, asked.fields), headers)

    def _links(self, asked: ListRequest, total: int) -> tuple[Header, ...]:
        """The Link header (RFC 8288) to the first, previous, next and last page, where there are such pages."""
        offset, limit = asked.query.offset, asked.query.limit
        if limit == 0 or (total <= limit and offset == 0):
            return ()
        start = f"<{self._shown.collection}?{asked.kept}{'&' if asked.kept else ''}"

        def link(to: int, relation: str) -> str:
            return f'{start}offset={to}&limit={limit}>; rel="{relation}"'

        last = max(0, (total - 1) // limit * limit)
        links = [link(0, "first")]
        links += [link(max(0, min(offset - limit, last)), "prev")] if offset > 0 else []
        links += [link(offset + limit, "next")] if offset + limit < total else []
        links.append(link(last, "last"))
        return ((b"link", ", ".join(links).encode()),)

    def _reader(self, request: Request) -> Caller:
        caller = self._authenticate(request.headers)
        if self._is_private and not caller.is_authenticated:
            raise Refused(
                Code.UNAUTHENTICATED,
                f"Entities of type {self.resource.type} are private: send a bearer token.",
            )
        return caller

    # -- writing ----------------------------------------------------------------------------------------------

    async def create(self, request: Request, _: str) -> Answer:
        """POST to the collection: 201 (or what the model says), 400, 401, 403, 409, 413 or 415."""
        check_writer(self._authenticate(request.headers))
        request.accept_json()
        chosen = fields_of(request.query_string, request.limits)
        body = await request.json(JSON_TYPES)
        draft = self._draft(self._new(body))
        async with self._store.transaction() as tx:
            standing = await tx.entity(draft.id)
            if standing is not None:
                self._check_own(standing, "An entity with this identifier is here already, and")
                raise Refused(
                    Code.CONFLICT, f"There is an entity {draft.id!r} already; change it with PATCH."
                )
            entity = await tx.put(draft)
        location = (b"location", self._shown.address(entity.id).encode())
        return self._written(self.resource.created_status, entity, chosen, location)

    async def patch(self, request: Request, entity_id: str) -> Answer:
        """PATCH of one entity, a merge patch: 200, 400, 401, 403, 404, 409, 412, 413 or 415."""
        check_writer(self._authenticate(request.headers))
        request.accept_json()
        chosen = fields_of(request.query_string, request.limits)
        changes = await request.json(PATCH_TYPES)
        changes.pop("href", None)
        async with self._store.transaction() as tx:
            standing = await self._standing(tx, entity_id, request)
            before = msgspec.json.decode(standing.body)
            after = merge_patch(before, changes)
            self._check_patch(before, changes, after)
            for name in self.resource.stamped_on_write:  # not the client's to say
                if name in before:
                    after[name] = before[name]
            if after == before:
                entity = standing
            else:
                self._stamp(after, self.resource.stamped_on_write)
                entity = await tx.put(self._draft(after))
        return self._written(200, entity, chosen)

    async def delete(self, request: Request, entity_id: str) -> Answer:
        """DELETE of one entity: 204, 401, 403, 404, 409 or 412."""
        check_writer(self._authenticate(request.headers))
        async with self._store.transaction() as tx:
            await self._standing(tx, entity_id, request)
            await tx.delete(entity_id)
        return Answer(204)

    def _new(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new entity from the body of a create: checked, and completed with what this marketplace sets."""
        entity = {name: value for name, value in body.items() if value is not None and name != "href"}
        type_name = self.resource.type
        entity.setdefault("@type", type_name)
        self._validator.unknown(type_name, entity, entity)
        entity_id = entity.setdefault("id", new_entity_id(type_name, self._around.entropy))
        length_max = self._around.limits.identifier_length_max_chars
        found: list[Violation] = []
        if (
            type(entity_id) is not str
            or len(entity_id) > length_max
            or not PLAIN_IDENTIFIER.fullmatch(entity_id)
        ):
            rule = f"must be at most {length_max} letters, digits and . _ ~ : @ ! $ & ' ( ) * + = -, starting with a letter or digit"
            found.append(Violation("id", rule, entity_id))
        if entity["@type"] != type_name and entity["@type"] in self._around.models.types:
            found.append(
                Violation("@type", f"must be {type_name} or a type derived from it", entity["@type"])
            )
        stamped = {*self.resource.stamped_on_create, *self.resource.stamped_on_write}
        found += [
            Violation(name, "is set by this marketplace", entity[name])
            for name in entity.keys() - FIXED - stamped
            if name in self._attributes and self._attributes[name].access in {"read-only", "update-only"}
        ]
        refuse(found)
        if self.resource.status_attribute is not None and self.resource.status_initial is not None:
            entity.setdefault(self.resource.status_attribute, self.resource.status_initial)
        self._stamp(entity, (*self.resource.stamped_on_create, *self.resource.stamped_on_write))
        return entity

    def _check_patch(self, before: dict[str, Any], changes: dict[str, Any], after: dict[str, Any]) -> None:
        stamped = {*self.resource.stamped_on_create, *self.resource.stamped_on_write}
        set_here = {name: value for name, value in changes.items() if value is not None}
        self._validator.unknown(self.resource.type, set_here, after)
        found: list[Violation] = []
        for name in changes.keys() - stamped:
            attribute = self._attributes.get(name)
            fixed = name in FIXED or (
                attribute is not None and attribute.access in {"create-only", "read-only"}
            )
            if fixed and after.get(name) != before.get(name):
                found.append(Violation(name, "cannot be changed", changes[name]))
        refuse(found)

    def _stamp(self, entity: dict[str, Any], names: tuple[str, ...]) -> None:
        if names:
            entity.update(dict.fromkeys(names, rfc3339(self._around.clock.now())))

    def _draft(self, entity: dict[str, Any]) -> EntityDraft:
        self._validator.check(self.resource.type, entity)
        status = entity.get(self.resource.status_attribute) if self.resource.status_attribute else None
        body = canonical_json(entity)
        return EntityDraft(
            id=entity["id"],
            type=self.resource.type,
            body=body,
            hashlink=hashlink(body),
            public=self._around.models.is_public(self.resource.type, status),
        )

    async def _standing(self, tx: Transaction, entity_id: str, request: Request) -> Entity:
        """The entity that a write is about, after every check that does not need its content."""
        entity = await tx.entity(entity_id)
        if entity is None or entity.type != self.resource.type:
            raise self._not_found(entity_id)
        self._check_own(entity, "The entity")
        expected = request.headers.get(b"if-match")
        if expected is not None and not _names(expected, _etag(entity)):
            raise Refused(
                Code.PRECONDITION_FAILED,
                f"The entity stands at version {_etag(entity).decode()}; read it again.",
            )
        return entity

    @staticmethod
    def _check_own(entity: Entity, subject: str) -> None:
        if entity.origin is not None:
            raise Refused(
                Code.READ_ONLY_REPLICA,
                f"{subject} is a replica: its origin is {entity.origin}, the only marketplace that can change it.",
            )

    def _not_found(self, entity_id: str) -> Refused:
        return Refused(Code.NOT_FOUND, f"There is no {self.resource.name} {entity_id[:300]!r}.")

    def _written(self, status: int, entity: Entity, chosen: Selection | None, *headers: Header) -> Answer:
        if chosen is not None:
            return Answer(status, self._shown.part(entity.id, entity.body, chosen), (CONTENT_TYPE, *headers))
        whole = self._shown.whole(entity.id, entity.body)
        return Answer(status, whole, (CONTENT_TYPE, (b"etag", _etag(entity)), *headers))


def check_writer(caller: Caller) -> None:
    """Refuse a caller who may not write.

    Raises:
        Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
    """
    if not caller.is_authenticated:
        raise Refused(Code.UNAUTHENTICATED, "Writing needs a bearer token.")
    if not caller.may_write:
        raise Refused(Code.FORBIDDEN, "This token gives no right to write.")


def _etag(entity: Entity) -> bytes:
    """A strong validator: the hashlink names the exact content (`href` follows from it)."""
    return b'"%b"' % entity.hashlink.encode()


def _names(header: bytes, etag: bytes) -> bool:
    """Whether If-Match or If-None-Match names a version (RFC 9110, section 13.1)."""
    return header.strip() == b"*" or etag in (tag.strip().removeprefix(b"W/") for tag in header.split(b","))
