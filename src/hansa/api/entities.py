"""`/league/v1/entities`: the exact bytes of entities, one at a time or many.

Everyone gets what is public. Who signed the request is checked when a signature is there; one that does not hold is
refused, so that a member notices that its keys or its clock are wrong.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.parameters import Parameters
from hansa.api.responses import GONE, JSON, error_answer
from hansa.core.canonical import is_hashlink
from hansa.core.distribution import WHOLE_ENTITIES, Distribution
from hansa.core.errors import Code, Refused
from hansa.core.events import HASHLINK_PARAMETER
from hansa.core.http import CallerCheck
from hansa.core.identifiers import is_entity_key
from hansa.core.limits import Limits
from hansa.replication.exchange import JSON_LINES, EntitiesRequest, Status, WantedEntity, encode_line
from hansa.store import Entity, Store
from hansa.store.tables import publications
from hansa.store.tables.publications import Publication

REQUEST_ENTITY_MAX_BYTES: Final = 256
REQUEST_FRAME_BYTES: Final = 1024
ENTITIES_PER_READ: Final = 16
"""Entities in memory beside those in the answer."""

_decoder = msgspec.json.Decoder(EntitiesRequest)


class EntitiesApi:
    """Serves entities.

    Args:
        store: Where they are.
        check: Finds out which member asks.
        limits: `retrieval_entities_max`, `retrieval_size_max_bytes`.
        distribution: Which part of an entity other members get.
    """

    def __init__(
        self,
        store: Store,
        check: CallerCheck,
        limits: Limits,
        distribution: Distribution[Entity] = WHOLE_ENTITIES,
    ) -> None:
        self._distribution = distribution
        self._store = store
        self._check = check
        self._limits = limits

    async def one(self, request: Request) -> Response:
        """`GET /league/v1/entities/{id}?hl=…`: an entity by its identifier, or one of ours by its ledger key."""
        await self._caller(request, b"")
        wanted = Parameters(request, {HASHLINK_PARAMETER}, self._limits).text(HASHLINK_PARAMETER)
        if wanted is not None and not is_hashlink(wanted):
            raise Refused(Code.INVALID, f"{HASHLINK_PARAMETER} is not a hashlink.")
        entity, published = await self._find(request.path_params["id"])
        if entity is None:
            if published is not None and published.version > 0:
                return _gone("The entity has been deleted or withdrawn.")
            raise Refused(Code.NOT_FOUND, "There is no such public entity here.")
        if wanted is not None and wanted != entity.hashlink:
            return _gone(f"This version is not here any more; the current one is {entity.hashlink}.")
        return Response(entity.body, media_type=JSON, headers={"etag": f'"{entity.hashlink}"'})

    async def many(self, request: Request) -> Response:
        """`POST /league/v1/entities`: entities of ours by ledger key and hashlink; see `hansa.replication.exchange`."""
        body = await self._body(request)
        await self._caller(request, body)
        Parameters(request, (), self._limits)
        wanted = self._wanted(body)
        published = await publications.by_keys(self._store, tuple(one.key for one in wanted))
        lines: list[bytes] = []
        size_bytes = 0
        later = [encode_line(one.key, "later") for one in wanted]
        room_bytes = self._limits.retrieval_size_max_bytes - sum(map(len, later))
        for start in range(0, len(wanted), ENTITIES_PER_READ):
            part = wanted[start : start + ENTITIES_PER_READ]
            for line in await self._lines(part, published):
                size_bytes += len(line) - len(later[len(lines)])
                if size_bytes > room_bytes:
                    return _lines_answer(lines + later[len(lines) :])
                lines.append(line)
        return _lines_answer(lines)

    async def _lines(
        self, wanted: tuple[WantedEntity, ...], published: dict[str, Publication]
    ) -> list[bytes]:
        ids = [published[one.key].entity_id for one in wanted if one.key in published]
        entities = await self._store.entities(ids)
        lines: list[bytes] = []
        for one in wanted:
            publication = published.get(one.key)
            entity = entities.get(publication.entity_id) if publication is not None else None
            if entity is not None and _is_ours(entity):
                entity = self._distribution.published(entity)
            if entity is not None and _is_ours(entity) and entity.hashlink == one.hashlink:
                lines.append(encode_line(one.key, "found", entity.body))
            else:
                lines.append(encode_line(one.key, _absence(entity, publication)))
        return lines

    async def _find(self, name: str) -> tuple[Entity | None, Publication | None]:
        """The public part of a public entity, and what has been published of it."""
        if is_entity_key(name):
            publication = (await publications.by_keys(self._store, (name,))).get(name)
            entity = await self._store.entity(publication.entity_id) if publication is not None else None
            is_found = entity is not None and _is_ours(entity)
        else:
            publication = None
            entity = await self._store.entity(name)
            is_found = entity is not None and entity.public
        if entity is not None and is_found:
            return self._distribution.published(entity), publication
        if publication is None:
            publication = (await publications.states(self._store, (name,))).get(name)
        return None, publication

    async def _caller(self, request: Request, body: bytes) -> str | None:
        """The member that asks; None for anybody else. What is not public will depend on it."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]
        }
        query = request.scope["query_string"].decode("latin-1")
        path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
        url = f"{path}?{query}" if query else path
        return await self._check.member(request.method, url, headers, body)

    async def _body(self, request: Request) -> bytes:
        media_type = request.headers.get("content-type", JSON).partition(";")[0]
        if media_type.strip().lower() != JSON:
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A body here is {JSON}.")
        size_max = self._limits.retrieval_entities_max * REQUEST_ENTITY_MAX_BYTES + REQUEST_FRAME_BYTES
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > size_max:
                raise Refused(Code.TOO_LARGE, f"A request has at most {size_max} bytes.")
        return bytes(body)

    def _wanted(self, body: bytes) -> tuple[WantedEntity, ...]:
        try:
            wanted = _decoder.decode(body).entities
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(
                Code.MALFORMED, 'The body is not of the form {"entities": [{"key": …, "hashlink": …}]}.'
            ) from error
        if not 1 <= len(wanted) <= self._limits.retrieval_entities_max:
            raise Refused(
                Code.INVALID, f"A request asks for 1 to {self._limits.retrieval_entities_max} entities."
            )
        if not all(is_entity_key(one.key) and is_hashlink(one.hashlink) for one in wanted):
            raise Refused(Code.INVALID, "A key is a SHA-256 in hex, a hashlink begins with hl:.")
        return wanted


def _is_ours(entity: Entity) -> bool:
    return entity.origin is None and entity.public


def _absence(entity: Entity | None, publication: Publication | None) -> Status:
    """Why a version is not here."""
    if entity is not None and _is_ours(entity):
        return "superseded"
    if publication is not None and (publication.version > 0 or publication.is_under_way):
        return "gone"
    return "unknown"


def _gone(message: str) -> Response:
    return error_answer(Refused(Code.NOT_FOUND, message), GONE)


def _lines_answer(lines: list[bytes]) -> Response:
    return Response(b"".join(lines), media_type=JSON_LINES)
