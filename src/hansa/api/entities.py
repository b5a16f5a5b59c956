"""`/league/v1/entities`: the exact bytes of entities, one at a time or many.

Everybody gets what is public: the current version of an entity, and one that was announced before, while it
is retained (`hansa.store.tables.announced`). Members get replicas, too, by their ledger keys, so that an
origin that is away can be done without. A signature of the request is verified when there is one; one that
does not verify is refused, so that a member notices that its keys or its clock are wrong. What a member
requested is answered with a signature (`hansa.identity.answers`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import answer_headers, signing_member
from hansa.api.parameters import Parameters
from hansa.api.responses import JSON, response_of
from hansa.core.audit import AuditNotes
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import is_hashlink
from hansa.core.errors import Code, Refused
from hansa.core.events import HASHLINK_PARAMETER
from hansa.core.http import AnswerSigner, CallerCheck
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.replication.announced.bundles import (
    BUNDLE_TYPE,
    LINES_MAX,
    SIZE_MAX_BYTES,
    BundledPart,
    packed,
)
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.exchange import JSON_LINES, EntitiesRequest, RequestedEntity, encode_line
from hansa.replication.sources.serving import ServedVersion, VersionSource, position_of, was_published
from hansa.store import Entity, Store
from hansa.store.tables import announced, publications
from hansa.store.tables.publications import Publication

REQUEST_ENTITY_MAX_BYTES: Final = 256
REQUEST_FRAME_BYTES: Final = 1024
ENTITIES_PER_READ: Final = 16
"""Entities in memory beside those in the answer."""
BUNDLED_PER_READ: Final = 100
"""The same of a bundle, whose answer has room for all of them."""
_FRAME_BYTES: Final = 256
"""Of a line of a bundle, beside the entity."""
_STREAM_BYTES: Final = 8192
"""Of a bundle beside its lines, where they cannot be compressed."""

_decoder = msgspec.json.Decoder(EntitiesRequest)


class EntitiesApi:
    """Serves entities.

    Args:
        store: Where they are.
        check: Finds out which member calls.
        limits: `retrieval_entities_max`, `retrieval_size_max_bytes`.
        policy: Who may retrieve what.
        notes: For the audit log.
        source: Finds the versions that are requested by their keys.
        signer: Signs what members are answered; None: nothing is signed.
    """

    def __init__(
        self,
        store: Store,
        check: CallerCheck,
        limits: Limits,
        policy: DistributionPolicy,
        notes: AuditNotes,
        source: VersionSource,
        signer: AnswerSigner | None = None,
    ) -> None:
        self._policy = policy
        self._notes = notes
        self._store = store
        self._check = check
        self._limits = limits
        self._signer = signer
        self._source = source

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
            if was_published(published):
                return _was_removed("The entity has been deleted or withdrawn.")
            raise Refused(Code.NOT_FOUND, "There is no public entity with this identifier or key.")
        position = position_of(published, entity.hashlink)
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
        """`POST /league/v1/entities`: many by key and hashlink (`hansa.replication.exchange`)."""
        is_bundle = BUNDLE_TYPE in request.headers.get("accept", "")
        count_max = LINES_MAX if is_bundle else self._limits.retrieval_entities_max
        body = await json_body(request, count_max * REQUEST_ENTITY_MAX_BYTES + REQUEST_FRAME_BYTES)
        member = await signing_member(self._check, request, body)
        Parameters(request, (), self._limits)
        requested = _requested(body, count_max)
        if is_bundle:
            if member is None:
                raise Refused(Code.UNAUTHENTICATED, "Bundles are for members that sign the request.")
            content, media_type = await self._bundle(requested, member), BUNDLE_TYPE
        else:
            content, media_type = await self._lines(requested, member), JSON_LINES
        headers = await answer_headers(self._signer, request, member, content)
        return Response(content, media_type=media_type, headers=headers)

    async def _lines(self, requested: tuple[RequestedEntity, ...], member: str | None) -> bytes:
        """A line for each requested version."""
        lines: list[bytes] = []
        served: list[ServedVersion] = []
        size_bytes = 0
        later = [encode_line(one.key, "later") for one in requested]
        room_bytes = self._limits.retrieval_size_max_bytes - sum(map(len, later))
        for start in range(0, len(requested), ENTITIES_PER_READ):
            part = requested[start : start + ENTITIES_PER_READ]
            versions = await self._source.versions(part, member)
            for one, version in zip(part, versions, strict=True):
                line = encode_line(one.key, version.status, version.body)
                size_bytes += len(line) - len(later[len(lines)])
                if size_bytes > room_bytes:
                    self._note(member, served)
                    return b"".join(lines + later[len(lines) :])
                lines.append(line)
                served.append(version)
        self._note(member, served)
        return b"".join(lines)

    def _note(self, member: str | None, versions: Sequence[ServedVersion]) -> None:
        """Take note of what was served, and refused, for the audit log."""
        served = [one for one in versions if one.status == "found"]
        positions = [one.position for one in served if one.position is not None]
        self._notes.served(member, positions, len(served))
        if any(one.is_refused for one in versions):
            self._notes.refused(member, "entities", str(Code.NOT_FOUND))

    async def _bundle(self, requested: tuple[RequestedEntity, ...], member: str | None) -> bytes:
        """A bundle of those of the requested versions that are here and have room; empty without any."""
        parts: list[BundledPart] = []
        served: list[ServedVersion] = []
        room_bytes = SIZE_MAX_BYTES - _STREAM_BYTES
        for start in range(0, len(requested), BUNDLED_PER_READ):
            part = requested[start : start + BUNDLED_PER_READ]
            versions = await self._source.versions(part, member)
            for one, version in zip(part, versions, strict=True):
                if version.body is None or len(version.body) + _FRAME_BYTES > room_bytes:
                    continue
                room_bytes -= len(version.body) + _FRAME_BYTES
                served.append(version)
                parts.append(BundledPart(one.key, one.hashlink, msgspec.Raw(version.body)))
        self._note(member, served)
        if not parts:
            return b""
        bundle = await asyncio.to_thread(packed, parts)
        assert bundle is not None, "it has room for what was put in"
        return bundle

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


def _requested(body: bytes, count_max: int) -> tuple[RequestedEntity, ...]:
    try:
        requested = _decoder.decode(body).entities
    except UNREADABLE as error:
        raise Refused(
            Code.MALFORMED, 'The body is not of the form {"entities": [{"key": …, "hashlink": …}]}.'
        ) from error
    if not 1 <= len(requested) <= count_max:
        raise Refused(Code.INVALID, f"A request asks for 1 to {count_max} entities.")
    if not all(is_entity_key(one.key) and is_hashlink(one.hashlink) for one in requested):
        raise Refused(Code.INVALID, "A key is a SHA-256 in hex, a hashlink begins with hl:.")
    return requested


def _was_removed(message: str) -> Response:
    return response_of(Refused(Code.NOT_FOUND, message), status=HTTPStatus.GONE)


def _entity_response(body: bytes, hashlink: str) -> Response:
    return Response(body, media_type=JSON, headers={"etag": f'"{hashlink}"'})
