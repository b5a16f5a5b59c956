"""What a write left behind, and the answer that shows it."""

from __future__ import annotations

import string
from typing import Final
from urllib.parse import quote

import msgspec

from hansa.business.context import ServedResource
from hansa.business.http.conditional import etag, last_modified
from hansa.business.http.messages import CONTENT_TYPE, Header, Response
from hansa.business.representation import Selection
from hansa.business.rules import UnresolvedReference
from hansa.store import Entity

UNRESOLVED: Final = b"hansa-unresolved"
FINDINGS_SHOWN_MAX: Final = 20
ID_SHOWN_MAX_CHARS: Final = 100
PLAIN_IN_HEADER: Final = (string.ascii_letters + string.digits + "._~:@!$&'()*+=-").encode()
"""What stands in identifiers in a header as it is."""


class WriteResult(msgspec.Struct, frozen=True):
    """What a write left behind."""

    entity: Entity
    unresolved: tuple[UnresolvedReference, ...] = ()
    """References to what is not (yet) here."""


class WriteResponses:
    """Answers to those who write entities of one resource."""

    def __init__(self, served: ServedResource) -> None:
        self._served = served

    def created(self, written: WriteResult, chosen: Selection | None) -> Response:
        """201, and where the entity is now."""
        entity = written.entity
        location = self._served.shown(entity.parent).address(entity.id).encode()
        return self._one(201, written, chosen, (b"location", location))

    def changed(self, written: WriteResult, chosen: Selection | None) -> Response:
        """200."""
        return self._one(200, written, chosen)

    def several(
        self, written: list[WriteResult], parent_id: str | None, chosen: Selection | None
    ) -> Response:
        """200, with all that was written."""
        shown = self._served.shown(parent_id)
        stored = [one.entity for one in written]
        body = shown.listed([one.id for one in stored], [one.body for one in stored], chosen)
        found = tuple(finding for one in written for finding in one.unresolved)
        return Response(200, body, (CONTENT_TYPE, *_unresolved(found)))

    def _one(self, status: int, written: WriteResult, chosen: Selection | None, *headers: Header) -> Response:
        entity = written.entity
        shown = self._served.shown(entity.parent)
        headers = (CONTENT_TYPE, *headers, *_unresolved(written.unresolved))
        if chosen is not None:
            return Response(status, shown.part(entity.id, entity.body, chosen), headers)
        return Response(
            status,
            shown.whole(entity.id, entity.body),
            (*headers, (b"etag", etag(entity)), (b"last-modified", last_modified(entity.modified))),
        )


def _unresolved(found: tuple[UnresolvedReference, ...]) -> tuple[Header, ...]:
    """The header that tells of references to what is not (yet) here; identifiers in it are percent-encoded."""
    if not found:
        return ()
    shown = found[:FINDINGS_SHOWN_MAX]
    ids = [one.target_id[:ID_SHOWN_MAX_CHARS] for one in shown]
    if "".join(ids).encode(errors="replace").translate(None, PLAIN_IN_HEADER):
        ids = [quote(each, safe=":") for each in ids]
    text = ", ".join([f"{one.path}={each}" for one, each in zip(shown, ids, strict=True)])
    return ((UNRESOLVED, text.encode()),)
