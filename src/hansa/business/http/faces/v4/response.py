"""The response to a write in version 4: the entity, its address, its version, unresolved references."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec

from hansa.business.http.conditional import etag, last_modified
from hansa.business.http.messages import CONTENT_TYPE, Response
from hansa.business.http.shared_headers import Header
from hansa.business.operations.writes import WriteResult
from hansa.business.representation import Selection
from hansa.business.rules import UnknownWord, UnresolvedReference
from hansa.business.served_resource import ServedResource
from hansa.core.visibility import FOR_EVERYONE, visibility_of
from hansa.store import Entity

UNRESOLVED: Final = b"hansa-unresolved"
WORDS: Final = b"hansa-words"
MISSING: Final = b"hansa-missing"
POSITION: Final = b"hansa-position"
REFERENCES_SHOWN_MAX: Final = 20
ID_SHOWN_MAX_CHARS: Final = 100
PLAIN_IN_HEADER: Final = (string.ascii_letters + string.digits + "._~:@!$&'()*+=-").encode()
"""What stands in identifiers in a header as it is."""


PUBLICATION: Final = b"hansa-publication"
"""Whether everybody sees the entity, and why not."""
_PUBLIC: Final = (PUBLICATION, b"public")
_DRAFT: Final = (PUBLICATION, b"private; reason=lifecycle-status")
_PRIVATE_TYPE: Final = (PUBLICATION, b"private; reason=type")
_PENDING: Final = (PUBLICATION, b"pending")
_HERE: Final = (PUBLICATION, b"here; reason=visibility")
_NOT_VISIBLE: Final = (PUBLICATION, b"private; reason=visibility")
PLAIN_IN_REASON: Final = "#.-_"


def publication_header(entity: Entity, refusal: str | None, withheld_by: str | None) -> Header | None:
    """Whether everybody sees an entity of this marketplace, or sees it later, or why not.

    Args:
        entity: Of this marketplace.
        refusal: Code of the reason why its identifier is not this marketplace's.
        withheld_by: The condition of the operator by which nothing of it leaves this marketplace.
    """
    visibility = visibility_of(entity.body)
    if visibility is not FOR_EVERYONE:
        if entity.public:
            return _HERE
        if entity.pending is not None or not visibility.is_public_here:
            return _NOT_VISIBLE
    if withheld_by is not None:
        reason = quote(withheld_by, safe=PLAIN_IN_REASON)
        return PUBLICATION, f"{'here' if entity.public else 'private'}; reason={reason}".encode()
    if entity.public:
        return _PUBLIC
    if entity.pending is None:
        return None
    return _PENDING if refusal is None else (PUBLICATION, f"refused; reason={refusal}".encode())


class WriteResponses:
    """Responses to writes of the entities of one resource."""

    def __init__(self, served: ServedResource, withheld_by: Callable[[Entity], str | None]) -> None:
        self._served = served
        self._withheld_by = withheld_by
        resource = served.resource
        may_be_public = resource.visibility == "catalogue" and resource.has_lifecycle
        self._private = _DRAFT if may_be_public else _PRIVATE_TYPE

    def created(self, result: WriteResult, fields: Selection | None = None) -> Response:
        """201, and where the entity is now.

        What was created at another marketplace, and is private there, as a task, has no address here.
        """
        entity = result.entity
        if entity.origin is not None and not entity.public:
            return self._one(201, result, fields)
        location = self._served.representation(entity.parent).address(entity.id).encode()
        return self._one(201, result, fields, (b"location", location))

    def created_with(self, fields: Selection) -> Callable[[WriteResult], Response]:
        """A function for the same with some attributes of the entity."""
        return partial(self.created, fields=fields)

    def changed(self, result: WriteResult, fields: Selection | None) -> Response:
        """200."""
        return self._one(200, result, fields)

    def several(
        self, results: list[WriteResult], parent_id: str | None, fields: Selection | None
    ) -> Response:
        """200, with all that was written."""
        representation = self._served.representation(parent_id)
        entities = [result.entity for result in results]
        body = representation.listed([one.id for one in entities], [one.body for one in entities], fields)
        unresolved = tuple(reference for result in results for reference in result.unresolved)
        missing = tuple(f"[{n}].{path}" for n, result in enumerate(results) for path in result.missing)
        words = tuple(
            msgspec.structs.replace(word, path=f"[{n}].{word.path}")
            for n, result in enumerate(results)
            for word in result.words
        )
        headers = (CONTENT_TYPE, *_unresolved(unresolved), *_missing(missing), *_words(words))
        publications = dict.fromkeys(map(self._publication, results))
        return Response(200, body, (*headers, *(publications if len(publications) == 1 else ())))

    def _publication(self, result: WriteResult) -> Header:
        """Whether everybody sees what was written, and why not."""
        withheld_by = self._withheld_by(result.entity)
        return publication_header(result.entity, result.refusal, withheld_by) or self._private

    def _one(self, status: int, result: WriteResult, fields: Selection | None, *headers: Header) -> Response:
        entity = result.entity
        representation = self._served.representation(entity.parent)
        own = [CONTENT_TYPE, *headers, self._publication(result)]
        if result.unresolved:
            own += _unresolved(result.unresolved)
        if result.missing:
            own += _missing(result.missing)
        if result.words:
            own += _words(result.words)
        if result.position is not None:
            own += position_headers(result.position)
        if fields is not None:
            return Response(status, representation.part(entity.id, entity.body, fields), tuple(own))
        own += ((b"etag", etag(entity)), (b"last-modified", last_modified(entity.modified)))
        return Response(status, representation.whole(entity.id, entity.body), tuple(own))


def position_headers(position: int | None) -> tuple[Header, ...]:
    """The header that names the event about a write, for reads that wait for it (`min-position`)."""
    return () if position is None else ((POSITION, b"%d" % position),)


def _words(words: tuple[UnknownWord, ...]) -> tuple[Header, ...]:
    """The header with words that the model does not know, and those that it does."""
    if not words:
        return ()
    shown = [
        f"{one.path}={quote(one.word[:ID_SHOWN_MAX_CHARS])}; known={','.join(map(quote, one.known))}"
        for one in words[:REFERENCES_SHOWN_MAX]
    ]
    return ((WORDS, ", ".join(shown).encode()),)


def _missing(paths: tuple[str, ...]) -> tuple[Header, ...]:
    """The header with the required attributes that an entity does without."""
    return ((MISSING, ", ".join(paths[:REFERENCES_SHOWN_MAX]).encode()),) if paths else ()


def _unresolved(references: tuple[UnresolvedReference, ...]) -> tuple[Header, ...]:
    """The header with references to what is not (yet) here; identifiers in it are percent-encoded."""
    if not references:
        return ()
    shown = references[:REFERENCES_SHOWN_MAX]
    ids = [one.target_id[:ID_SHOWN_MAX_CHARS] for one in shown]
    if "".join(ids).encode(errors="replace").translate(None, PLAIN_IN_HEADER):
        ids = [quote(each, safe=":") for each in ids]
    text = ", ".join([f"{one.path}={each}" for one, each in zip(shown, ids, strict=True)])
    return ((UNRESOLVED, text.encode()),)
