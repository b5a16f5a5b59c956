"""`/league/v1/entities`: the exact bytes of entities, one at a time or many.

Everybody gets what is public: the current version of an entity, and one that was announced before, while it
is retained (`hansa.store.tables.announced`). A signature of the request is verified when there is one; one
that does not verify is refused, so that a member notices that its keys or its clock are wrong.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import signing_member
from hansa.api.parameters import Parameters
from hansa.api.responses import JSON, response_of
from hansa.core.audit import AuditNotes
from hansa.core.canonical import is_hashlink
from hansa.core.errors import Code, Refused
from hansa.core.events import HASHLINK_PARAMETER
from hansa.core.http import CallerCheck
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.exchange import JSON_LINES, EntitiesRequest, RequestedEntity, Status, encode_line
from hansa.store import Entity, Store
from hansa.store.tables import announced, publications
from hansa.store.tables.publications import Publication

REQUEST_ENTITY_MAX_BYTES: Final = 256
REQUEST_FRAME_BYTES: Final = 1024
ENTITIES_PER_READ: Final = 16
"""Entities in memory beside those in the answer."""

_decoder = msgspec.json.Decoder(EntitiesRequest)


class AnsweredEntity(NamedTuple):
    """One line of an answer about many entities."""

    line: bytes
    is_served: bool = False
    is_refused: bool = False
    position: int | None = None
    """Of the event that announced what is served, as far as it is known."""


class EntitiesApi:
    """Serves entities.

    Args:
        store: Where they are.
        check: Finds out which member calls.
        limits: `retrieval_entities_max`, `retrieval_size_max_bytes`.
        policy: Who may retrieve what.
        notes: For the audit log.
    """

    def __init__(
        self,
        store: Store,
        check: CallerCheck,
        limits: Limits,
        policy: DistributionPolicy,
        notes: AuditNotes,
    ) -> None:
        self._policy = policy
        self._notes = notes
        self._store = store
        self._check = check
        self._limits = limits

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/entities/{id}?hl=…`: one by its identifier, or one of ours by its ledger key."""
        member = await signing_member(self._check, request, b"")
        hashlink = Parameters(request, {HASHLINK_PARAMETER}, self._limits).text(HASHLINK_PARAMETER)
        if hashlink is not None and not is_hashlink(hashlink):
            raise Refused(Code.INVALID, f"{HASHLINK_PARAMETER} is not a hashlink.")
        entity, published = await self._public_part_of(request.path_params["id"], member)
        if entity is not None and hashlink is not None and hashlink != entity.hashlink:
            response = await self._earlier(entity, hashlink, published)
            self._notes.served(member, (), int(response.status_code == HTTPStatus.OK))
            return response
        if entity is None:
            if _was_published(published):
                return _was_removed("The entity has been deleted or withdrawn.")
            raise Refused(Code.NOT_FOUND, "There is no public entity with this identifier or key.")
        position = _position(published, entity.hashlink)
        self._notes.served(member, () if position is None else (position,), 1)
        return _entity_response(entity.body, entity.hashlink)

    async def _earlier(self, entity: Entity, hashlink: str, published: Publication | None) -> Response:
        """A version of an entity that is not the current one."""
        if published is None:
            published = (await publications.states(self._store, (entity.id,))).get(entity.id)
        retained = await announced.bodies(self._store, (hashlink,)) if published is not None else {}
        body = retained.get((published.key, hashlink)) if published is not None else None
        if body is None:
            return _was_removed(f"This version is not here any more; the current one is {entity.hashlink}.")
        return _entity_response(body, hashlink)

    async def many(self, request: Request) -> Response:
        """`POST /league/v1/entities`: many of ours by key and hashlink (`hansa.replication.exchange`)."""
        size_max_bytes = self._limits.retrieval_entities_max * REQUEST_ENTITY_MAX_BYTES + REQUEST_FRAME_BYTES
        body = await json_body(request, size_max_bytes)
        member = await signing_member(self._check, request, body)
        Parameters(request, (), self._limits)
        requested = self._requested(body)
        published = await publications.by_keys(self._store, tuple(one.key for one in requested))
        answers: list[AnsweredEntity] = []
        size_bytes = 0
        later = [encode_line(one.key, "later") for one in requested]
        room_bytes = self._limits.retrieval_size_max_bytes - sum(map(len, later))
        for start in range(0, len(requested), ENTITIES_PER_READ):
            part = requested[start : start + ENTITIES_PER_READ]
            for answer in await self._answers(part, published, member):
                size_bytes += len(answer.line) - len(later[len(answers)])
                if size_bytes > room_bytes:
                    return self._lines_response(answers, later, member)
                answers.append(answer)
        return self._lines_response(answers, later, member)

    def _lines_response(
        self, answers: list[AnsweredEntity], later: list[bytes], member: str | None
    ) -> Response:
        """The answers that have room, and that the others come later."""
        served = [one for one in answers if one.is_served]
        positions = [one.position for one in served if one.position is not None]
        self._notes.served(member, positions, len(served))
        if any(one.is_refused for one in answers):
            self._notes.refused(member, "entities", str(Code.NOT_FOUND))
        lines = [one.line for one in answers]
        return Response(b"".join(lines + later[len(lines) :]), media_type=JSON_LINES)

    async def _answers(
        self, requested: tuple[RequestedEntity, ...], published: dict[str, Publication], member: str | None
    ) -> list[AnsweredEntity]:
        ids = [published[one.key].entity_id for one in requested if one.key in published]
        entities = await self._store.entities(ids)
        retained = await announced.bodies(self._store, [one.hashlink for one in requested])
        answers: list[AnsweredEntity] = []
        for one in requested:
            publication = published.get(one.key)
            entity = entities.get(publication.entity_id) if publication is not None else None
            served = None
            if entity is not None and entity.origin is None:
                served = self._policy.may_retrieve(member, entity)
            body = retained.get((one.key, one.hashlink))
            if served is not None and (body is not None or served.hashlink == one.hashlink):
                line = encode_line(one.key, "found", body or served.body)
                answers.append(AnsweredEntity(line, True, position=_position(publication, one.hashlink)))
            elif served is not None:
                answers.append(AnsweredEntity(encode_line(one.key, "superseded")))
            else:
                absence = _absence(entity, publication, is_member=member is not None)
                is_refused = entity is not None and entity.pending is None
                answers.append(AnsweredEntity(encode_line(one.key, absence), is_refused=is_refused))
        return answers

    async def _public_part_of(
        self, name: str, member: str | None
    ) -> tuple[Entity | None, Publication | None]:
        """The public part of a public entity, and what has been published of it."""
        if is_entity_key(name):
            publication = (await publications.by_keys(self._store, (name,))).get(name)
            entity = await self._store.entity(publication.entity_id) if publication is not None else None
            is_served = entity is not None and entity.origin is None
        else:
            publication = None
            entity = await self._store.entity(name)
            is_served = entity is not None
        served = self._policy.may_retrieve(member, entity) if entity is not None and is_served else None
        if served is not None:
            return served, publication
        if entity is not None and entity.pending is not None:
            return None, None
        if publication is None:
            publication = (await publications.states(self._store, (name,))).get(name)
        return None, publication

    def _requested(self, body: bytes) -> tuple[RequestedEntity, ...]:
        try:
            requested = _decoder.decode(body).entities
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(
                Code.MALFORMED, 'The body is not of the form {"entities": [{"key": …, "hashlink": …}]}.'
            ) from error
        if not 1 <= len(requested) <= self._limits.retrieval_entities_max:
            raise Refused(
                Code.INVALID, f"A request asks for 1 to {self._limits.retrieval_entities_max} entities."
            )
        if not all(is_entity_key(one.key) and is_hashlink(one.hashlink) for one in requested):
            raise Refused(Code.INVALID, "A key is a SHA-256 in hex, a hashlink begins with hl:.")
        return requested


def _position(publication: Publication | None, hashlink: str) -> int | None:
    """Where a version was announced; None when it is not the newest that was, or that is not known."""
    is_newest = publication is not None and publication.hashlink == hashlink
    return publication.last_position if publication is not None and is_newest else None


def _was_published(publication: Publication | None) -> bool:
    """Whether everybody may know that an entity was public here once."""
    return publication is not None and publication.version > 0 and publication.claimed_by is None


def _absence(entity: Entity | None, publication: Publication | None, *, is_member: bool) -> Status:
    """Why nothing of an entity is served.

    A member has read of the event on the ledger, or on its way there. To a stranger, who can only have
    guessed the identifier, an entity that was never public does not exist.
    """
    is_known = is_member and publication is not None and (publication.is_under_way or publication.version > 0)
    if entity is not None and entity.pending is not None:
        is_ours = publication is not None and publication.claimed_by is None
        return "unknown" if not is_known else "pending" if is_ours else "gone"
    return "gone" if is_known or _was_published(publication) else "unknown"


def _was_removed(message: str) -> Response:
    return response_of(Refused(Code.NOT_FOUND, message), status=HTTPStatus.GONE)


def _entity_response(body: bytes, hashlink: str) -> Response:
    return Response(body, media_type=JSON, headers={"etag": f'"{hashlink}"'})
