"""What a request of version 4 asks of one entity by its query string: `fields`, `expand` and `depth`."""

from __future__ import annotations

from hansa.business.http.messages import Request
from hansa.business.query import EntityRequest, entity_request
from hansa.business.representation import Selection
from hansa.business.served_resource import ServedResource


def requested_of(served: ServedResource, request: Request) -> EntityRequest | None:
    """What a request for one entity asks for; None when it has no query string.

    Raises:
        Refused: `Code.INVALID`, for what means nothing there.
    """
    if not request.query_string:
        return None
    return entity_request(request.query_string, served.api, served.resource, request.limits)


def requested_fields(served: ServedResource, request: Request) -> Selection | None:
    """What of the entity it asks for; None for all of it. Raises as `requested_of`."""
    requested = requested_of(served, request)
    return None if requested is None else requested.fields
