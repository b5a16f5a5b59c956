"""Reading: one entity, and pages of lists (TMF630 Part 1, chapter 4).

Entities of private types, and drafts of types with a lifecycle, exist for callers with a token only; for others they
are neither found nor listed nor counted.

A page that a client asked for (`limit`, `offset`, `Range`) and that is not everything is answered 206. One that is cut
because nobody named a limit is answered 200, as in the guideline's own example; both say in `Content-Range` what they
are part of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from hansa.business.context import Context, ServedResource
from hansa.business.http.conditional import etag, is_known, last_modified
from hansa.business.http.messages import CONTENT_TYPE, Header, Request, Response, error_response
from hansa.business.http.response_cache import ListKey, ResponseCache
from hansa.business.operations.expansion import Expansion
from hansa.business.query import ListRequest, list_request, paging, taken_out
from hansa.business.representation import Representation
from hansa.business.visibility import PublicParts
from hansa.core.errors import Code, Refused
from hansa.store import Page

REQUESTS_REMEMBERED: Final = 256
"""Queries of lists that need no reading again."""
ACCEPT_RANGES: Final = (b"accept-ranges", b"items")
UNINDEXED: Final = b"hansa-unindexed"


class ReadHandler:
    """Answers GET for one resource."""

    def __init__(self, served: ServedResource, context: Context, cache: ResponseCache) -> None:
        self._served = served
        self._store = context.store
        self._limits = context.limits
        self._collection = served.resource.collection
        self._expansion = Expansion(context)
        parts = PublicParts(context.models)
        self._parts = parts if parts.has_private(self._collection) else None
        self._cache = cache
        self._asked = lru_cache(REQUESTS_REMEMBERED)(self._read_request)
        self._read = lru_cache(REQUESTS_REMEMBERED)(self._read_query)

    async def retrieve(self, request: Request, entity_id: str) -> Response:
        """GET of one entity: 200, 304, 400, 401, 404 or 406."""
        request.accept_json()
        served = self._served
        caller = served.reader(request.headers)
        asked = served.asked(request)
        if served.is_below_parent:
            await served.check_parent(request.parent_id, public_only=not caller.is_authenticated)
        entity = await self._store.entity(entity_id)
        if (
            entity is None
            or entity.type != self._collection
            or entity.parent != request.parent_id
            or not (entity.public or caller.is_authenticated)
        ):
            raise served.not_found(entity_id)
        if self._parts is not None and not caller.is_authenticated:
            entity = self._parts.of(entity)
        shown = served.shown(request.parent_id)
        if asked is not None:
            if asked.expand or asked.depth:
                body = await self._expansion.one(
                    entity.body, asked.expand, asked.depth, public_only=not caller.is_authenticated
                )
                return Response(200, shown.listed((entity.id,), (body,), asked.fields)[1:-1], (CONTENT_TYPE,))
            if asked.fields is not None:
                return Response(200, shown.part(entity.id, entity.body, asked.fields), (CONTENT_TYPE,))
        tag = etag(entity)
        modified = (b"last-modified", last_modified(entity.modified))
        if is_known(request.headers, entity, tag):
            return Response(304, b"", ((b"etag", tag), modified))
        return Response(200, shown.whole(entity.id, entity.body), (CONTENT_TYPE, (b"etag", tag), modified))

    async def list(self, request: Request, _: str) -> Response:
        """GET of the collection: 200, 206, 400, 401, 404, 406, 416, 501 or 503."""
        request.accept_json()
        served = self._served
        caller = served.reader(request.headers)
        public_only = not caller.is_authenticated
        if served.is_below_parent:
            await served.check_parent(request.parent_id, public_only=public_only)
        named = (request.query_string, public_only, request.headers.get(b"range"), request.parent_id)
        key = ListKey(self._collection, *named)
        revision = self._store.revision(self._collection)
        cached = self._cache.get(key, revision)
        if cached is not None:
            return cached
        asked = self._asked(*named)
        page = await self._store.list(asked.query)
        if asked.is_range and asked.query.offset >= page.total:
            return _unsatisfiable(page.total)
        shown = served.shown(request.parent_id)
        is_confined = self._parts is not None and public_only
        if is_confined or asked.expand or asked.depth or asked.fields is not None:
            bodies = await self._bodies(asked, page, public_only=public_only)
            body = shown.listed(page.ids, bodies, asked.fields)
        else:
            body = shown.page(page)
        is_part = len(page.ids) < page.total
        headers = [
            CONTENT_TYPE,
            (b"x-total-count", b"%d" % page.total),
            (b"x-result-count", b"%d" % len(page.ids)),
            ACCEPT_RANGES,
        ]
        if is_part:
            headers += _part_headers(asked, page, shown)
        if page.unindexed:
            headers.append((UNINDEXED, ", ".join(page.unindexed).encode()))
        answer = Response(206 if is_part and asked.is_paged else 200, body, tuple(headers))
        # What depends on other collections, or is counted each time it is asked for, is made anew.
        is_cacheable = not (asked.expand or asked.depth or page.unindexed)
        if is_cacheable and revision == self._store.revision(self._collection):
            self._cache.put(key, revision, answer)
        return answer

    async def _bodies(self, asked: ListRequest, page: Page, *, public_only: bool) -> Sequence[bytes]:
        """The bodies of a page: of each what the caller may see, with what is to be filled in."""
        bodies: Sequence[bytes] = page.bodies
        if self._parts is not None and public_only:
            bodies = self._parts.bodies(self._collection, bodies)
        if asked.expand or asked.depth:
            bodies = await self._expansion.several(bodies, asked.expand, asked.depth, public_only=public_only)
        return bodies

    def _read_request(
        self, query_string: bytes, public_only: bool, range_header: bytes | None, parent_id: str | None
    ) -> ListRequest:
        """What a request asks for; of pages of the same list, all but the page is read once."""
        parts = taken_out(query_string)
        if parts is None:
            return self._read(query_string, public_only, range_header, parent_id)
        rest, page = parts
        return self._read(rest, public_only, None, parent_id).at(
            paging(page.get(b"offset"), page.get(b"limit"), None, self._limits)
        )

    def _read_query(
        self, query_string: bytes, public_only: bool, range_header: bytes | None, parent_id: str | None
    ) -> ListRequest:
        asked = list_request(
            query_string,
            self._served.api,
            self._served.resource,
            self._served.shown(parent_id).collection,
            self._limits,
            public_only=public_only,
            range_header=range_header,
            parent=parent_id,
        )
        if self._parts is None or not public_only:
            return asked
        return msgspec.structs.replace(asked, query=self._parts.confined(asked.query))


def _part_headers(asked: ListRequest, page: Page, shown: Representation) -> list[Header]:
    """Content-Range, and the Link header (RFC 8288) to this, the first, previous, next and last page."""
    offset, limit = asked.query.offset, asked.query.limit
    count = len(page.ids)
    span = f"{offset + 1}-{offset + count}" if count else "*"
    headers: list[Header] = [(b"content-range", f"items {span}/{page.total}".encode())]
    if limit == 0:
        return headers
    start = f"<{shown.collection}?{asked.kept}{'&' if asked.kept else ''}offset="
    last = max(0, (page.total - 1) // limit * limit)
    links = [f'{start}{offset}&limit={limit}>; rel="self"', f'{start}0&limit={limit}>; rel="first"']
    if offset > 0:
        links.append(f'{start}{max(0, min(offset - limit, last))}&limit={limit}>; rel="prev"')
    if offset + limit < page.total:
        links.append(f'{start}{offset + limit}&limit={limit}>; rel="next"')
    links.append(f'{start}{last}&limit={limit}>; rel="last"')
    headers.append((b"link", ", ".join(links).encode()))
    return headers


def _unsatisfiable(total: int) -> Response:
    """416 with what there is (RFC 9110, section 15.5.17)."""
    refused = error_response(
        Refused(Code.RANGE_NOT_SATISFIABLE, f"The list has {total} elements; the range begins beyond them.")
    )
    return Response(
        refused.status, refused.body, (*refused.headers, (b"content-range", f"items */{total}".encode()))
    )
