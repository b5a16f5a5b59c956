"""Sub-resources that stand in an attribute of their parent, as the parts of a geographic address: read only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hansa.business.context import Context, ServedResource
from hansa.business.http.messages import CONTENT_TYPE, Request, Response
from hansa.business.query import list_request
from hansa.business.representation import Representation
from hansa.core.access import Caller
from hansa.store import Entity
from hansa.store.evaluation import matches, ordered


class EmbeddedReadHandler:
    """Answers GET for one such sub-resource."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        assert served.resource.embedded is not None
        self._served = served
        self._limits = context.limits
        self._attribute = served.resource.embedded

    async def list(self, request: Request, _: str) -> Response:
        """GET of the collection: 200, 206, 400, 401, 404 or 406. In the order of the parent, unless `sort` says."""
        request.accept_json()
        caller = self._served.reader(request.headers)
        asked = list_request(
            request.query_string,
            self._served.api,
            self._served.resource,
            self._served.shown(request.parent_id).collection,
            self._limits,
            public_only=not caller.is_authenticated,
            parent=request.parent_id,
        )
        held = await self._elements(request, caller)
        found = ordered((one for one in held if matches(one, asked.query.filters)), asked.query.sort)
        page = found[asked.query.offset : asked.query.offset + asked.query.limit]
        shown = self._served.shown(request.parent_id)
        headers = (
            CONTENT_TYPE,
            (b"x-total-count", b"%d" % len(found)),
            (b"x-result-count", b"%d" % len(page)),
        )
        body = shown.listed(
            [element["id"] for element in page],
            [msgspec.json.encode(element) for element in page],
            asked.fields,
        )
        return Response(206 if asked.is_paged and len(page) < len(found) else 200, body, headers)

    async def retrieve(self, request: Request, entity_id: str) -> Response:
        """GET of one: 200, 400, 401, 404 or 406."""
        request.accept_json()
        caller = self._served.reader(request.headers)
        chosen = self._served.chosen(request)
        for element in await self._elements(request, caller):
            if element["id"] == entity_id:
                shown: Representation = self._served.shown(request.parent_id)
                return Response(
                    200,
                    shown.listed([entity_id], [msgspec.json.encode(element)], chosen)[1:-1],
                    (CONTENT_TYPE,),
                )
        raise self._served.not_found(entity_id)

    async def _elements(self, request: Request, caller: Caller) -> Sequence[dict[str, Any]]:
        """What the parent holds, as far as it has an identifier, without its address."""
        parent: Entity | None = await self._served.check_parent(
            request.parent_id, public_only=not caller.is_authenticated
        )
        assert parent is not None, "an embedded sub-resource has a parent"
        held = msgspec.json.decode(parent.body).get(self._attribute, [])
        return [
            {name: value for name, value in element.items() if name != "href"}
            for element in (held if isinstance(held, list) else [held])
            if isinstance(element, dict) and isinstance(element.get("id"), str)
        ]
