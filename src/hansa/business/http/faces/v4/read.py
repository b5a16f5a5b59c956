"""GET of one entity and of lists in version 4 (TMF630 Part 1, chapter 4).

A page that a client named (`limit`, `offset`, `Range`) and that is not everything is answered 206. One that
is cut because nobody named a limit is answered 200, as in the guideline's own example; both say in
`Content-Range` what they are part of. A page that ends because its entities have too many bytes
(`answer_size_max_bytes`) is answered 206, and `next` begins where it ends. A page without elements is part of
nothing: it is answered 200 with the total, since `*/n` is what a 416 says (RFC 9110, section 14.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hansa.business.context import Context
from hansa.business.http.conditional import etag, is_known, last_modified
from hansa.business.http.faces.v4.positions import MIN_POSITION, wait_for_position
from hansa.business.http.faces.v4.requested import requested_of
from hansa.business.http.faces.v4.response import publication_header
from hansa.business.http.messages import CONTENT_TYPE, Request, Response, error_response, takes_json
from hansa.business.http.response_cache import ListKey, ResponseCache
from hansa.business.http.shared_headers import Header
from hansa.business.operations.read import ReadOperation, ReadScope
from hansa.business.query import ListRequest, list_request, paging, split_paging
from hansa.business.representation import Representation, Selection
from hansa.business.served_resource import ServedResource
from hansa.core.errors import Code, Refused
from hansa.core.thread_work import CHEAP
from hansa.store import Entity, Page

ACCEPT_RANGES: Final = (b"accept-ranges", b"items")
UNINDEXED: Final = b"hansa-unindexed"
WAITING: Final = (b"hansa-closure", b"waiting")
"""Something that the replica needs, as an offering its specification, is not here."""


class ReadHandler:
    """Answers GET for one resource."""

    def __init__(
        self, served: ServedResource, operation: ReadOperation, context: Context, cache: ResponseCache
    ) -> None:
        self._served = served
        self._operation = operation
        self._authenticate = context.authenticate
        self._limits = context.limits
        self._collection = served.resource.collection
        self._cache = cache
        self._large_work = context.large_work
        self._is_waiting = context.is_waiting
        self._former_status = context.former_status
        self._positions = context.positions
        self._withheld_by = context.withheld_by

    async def retrieve(self, request: Request, entity_id: str) -> Response:
        """GET of one entity: 200, 304, 400, 401, 404, 406 or 503."""
        request.accept_json()
        if MIN_POSITION in request.query_string:
            await wait_for_position(request, self._positions)
        scope = await self._operation.scope(self._authenticate(request.headers), request.parent_id)
        requested = requested_of(self._served, request)
        entity = await self._operation.one(scope, entity_id)
        if requested is not None:
            representation = self._served.representation(request.parent_id)
            if requested.expand or requested.depth:
                bodies = await self._operation.expand(
                    scope, (entity.body,), requested.expand, requested.depth
                )
                body = await self._listed(scope, representation, (entity.id,), bodies, requested.fields)
                return Response(200, body[1:-1], (CONTENT_TYPE,))
            if requested.fields is not None:
                bodies = (entity.body,)
                body = await self._listed(scope, representation, (entity.id,), bodies, requested.fields)
                return Response(200, body[1:-1], (CONTENT_TYPE,))
        if entity.pending is None:
            return self._whole(request.headers, entity)
        refusal = await self._operation.refusal(entity)
        publication = publication_header(entity, refusal, self._withheld_by(entity))
        assert publication is not None, "a pending entity is to be public"
        return self._whole(request.headers, entity, publication)

    def retrieve_at_once(
        self, headers: Mapping[bytes, bytes], query_string: bytes, entity_id: str
    ) -> Response | None:
        """GET of one entity that is in memory; None when it takes more than that, see `retrieve`."""
        if query_string or not takes_json(headers):
            return None
        entity = self._operation.cached(entity_id)
        if entity is None or entity.pending is not None:
            return None
        scope = self._operation.scope_at_once(self._authenticate(headers))
        return (
            None if scope is None else self._whole(headers, self._operation.shown(scope, entity_id, entity))
        )

    def _whole(self, headers: Mapping[bytes, bytes], entity: Entity, *more: Header) -> Response:
        """The response that shows all of an entity, or says that the client has this version."""
        tag = etag(entity)
        versions: tuple[Header, ...] = (
            (b"etag", tag),
            (b"last-modified", last_modified(entity.modified)),
            *more,
        )
        if entity.origin is not None and self._is_waiting(entity.id):
            versions = (*versions, WAITING)
        if entity.origin is not None and (status := self._former_status(entity.origin)) is not None:
            versions = (*versions, (b"hansa-origin-status", status.encode("ascii")))
        if is_known(headers, entity, tag):
            return Response(304, b"", versions)
        body = self._served.representation(entity.parent).whole(entity.id, entity.body)
        return Response(200, body, (CONTENT_TYPE, *versions))

    async def list(self, request: Request, _: str) -> Response:
        """GET of the collection: 200, 206, 400, 401, 404, 406, 416, 501 or 503."""
        request.accept_json()
        if MIN_POSITION in request.query_string:
            await wait_for_position(request, self._positions)
        operation = self._operation
        scope = await operation.scope(self._authenticate(request.headers), request.parent_id)
        key = self._list_key(request.headers, request.query_string, scope)
        revision = operation.revision()
        cached = self._cache.get(key, revision)
        if cached is not None:
            return cached
        requested = self._parsed(key)
        page = await operation.page(scope, requested.query, request.left)
        if requested.is_range and requested.query.offset >= page.total:
            return _unsatisfiable(page.total)
        representation = self._served.representation(request.parent_id)
        if requested.expand or requested.depth:
            bodies = await operation.expand(scope, page.bodies, requested.expand, requested.depth)
            body = await self._listed(scope, representation, page.ids, bodies, requested.fields)
        elif requested.fields is not None:
            body = await self._listed(scope, representation, page.ids, page.bodies, requested.fields)
        else:
            body = representation.page(page)
        response = _list_response(requested, page, representation, body)
        # What depends on other collections, or is counted at every request, is made anew.
        is_cacheable = not (requested.expand or requested.depth or page.unindexed)
        if is_cacheable and revision == operation.revision():
            self._cache.put(key, revision, response)
        return response

    def list_at_once(self, headers: Mapping[bytes, bytes], query_string: bytes, _: str) -> Response | None:
        """GET of a list whose response is cached; None when it takes more than that, see `list`."""
        if MIN_POSITION in query_string or not takes_json(headers):
            return None
        scope = self._operation.scope_at_once(self._authenticate(headers))
        if scope is None:
            return None
        return self._cache.hit(self._list_key(headers, query_string, scope), self._operation.revision())

    def _list_key(self, headers: Mapping[bytes, bytes], query_string: bytes, scope: ReadScope) -> ListKey:
        return ListKey(
            *(self._collection, query_string, scope.public_only),
            *(headers.get(b"range"), scope.parent_id, scope.reader),
        )

    async def _listed(
        self,
        scope: ReadScope,
        representation: Representation,
        ids: Sequence[str],
        bodies: Sequence[bytes],
        fields: Selection | None,
    ) -> bytes:
        """What is shown of some entities as a JSON array; of much, it is made in a thread."""
        size_bytes = sum(map(len, bodies)) if fields is not None else 0
        if fields is not None and not fields.locators:
            size_bytes //= CHEAP
        is_stranger = not scope.grant.caller.is_authenticated
        return await self._large_work.run(
            size_bytes, lambda: representation.listed(ids, bodies, fields), is_stranger=is_stranger
        )

    def _parsed(self, key: ListKey) -> ListRequest:
        """What a request says; of pages of the same list, all but the page is parsed once."""
        if key.reader is not None:
            key = key._replace(reader=None)  # whoever reads, it says the same
        cached = self._cache.requests.get(key)
        if cached is not None:
            return cached
        parts = split_paging(key.query_string)
        if parts is None:
            requested = self._parse(key)
        else:
            rest, page = parts
            every_page = key._replace(query_string=rest, range_header=None)
            whole = self._cache.requests.get(every_page)
            if whole is None:
                whole = self._parse(every_page)
                self._cache.requests.put(every_page, whole)
            requested = whole.with_page(paging(page.get(b"offset"), page.get(b"limit"), None, self._limits))
        self._cache.requests.put(key, requested)
        return requested

    def _parse(self, key: ListKey) -> ListRequest:
        return list_request(
            key.query_string,
            self._served.api,
            self._served.resource,
            self._served.representation(key.parent_id).collection,
            self._limits,
            public_only=key.public_only,
            range_header=key.range_header,
            parent=key.parent_id,
        )


def _list_response(
    requested: ListRequest, page: Page, representation: Representation, body: bytes
) -> Response:
    is_part = 0 < len(page.ids) < page.total
    headers = [
        CONTENT_TYPE,
        (b"x-total-count", b"%d" % page.total),
        (b"x-result-count", b"%d" % len(page.ids)),
        ACCEPT_RANGES,
    ]
    if is_part:
        headers.append(_content_range(requested, page))
    if len(page.ids) < page.total and requested.query.limit:
        headers.append(_links(requested, page, representation))
    if page.unindexed:
        headers.append((UNINDEXED, ", ".join(page.unindexed).encode()))
    return Response(206 if is_part and (requested.is_paged or page.is_cut) else 200, body, tuple(headers))


def _content_range(requested: ListRequest, page: Page) -> Header:
    offset = requested.query.offset
    return b"content-range", b"items %d-%d/%d" % (offset + 1, offset + len(page.ids), page.total)


def _links(requested: ListRequest, page: Page, representation: Representation) -> Header:
    """The Link header (RFC 8288) to this, the first, previous, next and last page."""
    offset, limit = requested.query.offset, requested.query.limit
    start = f"<{representation.collection}?{requested.link_query}{'&' if requested.link_query else ''}offset="
    last = max(0, (page.total - 1) // limit * limit)
    links = [f'{start}{offset}&limit={limit}>; rel="self"', f'{start}0&limit={limit}>; rel="first"']
    if offset > 0:
        links.append(f'{start}{max(0, min(offset - limit, last))}&limit={limit}>; rel="prev"')
    end = offset + (len(page.ids) if page.is_cut else limit)
    if end < page.total:
        links.append(f'{start}{end}&limit={limit}>; rel="next"')
    if not page.is_cut:  # else nobody knows where the last page begins
        links.append(f'{start}{last}&limit={limit}>; rel="last"')
    return b"link", ", ".join(links).encode()


def _unsatisfiable(total: int) -> Response:
    """416 with the number of elements (RFC 9110, section 15.5.17)."""
    refused = error_response(
        Refused(Code.RANGE_NOT_SATISFIABLE, f"The list has {total} elements; the range begins beyond them.")
    )
    return Response(
        refused.status, refused.body, (*refused.headers, (b"content-range", f"items */{total}".encode()))
    )
