"""The query language of TMF630, in requests for lists and for entities, and in hub registrations."""

from hansa.business.query.events import EventQuery, event_fields, event_query
from hansa.business.query.paging import paging, split_paging
from hansa.business.query.parameters import pairs
from hansa.business.query.requests import DIRECTIVES, EntityRequest, ListRequest, entity_request, list_request

__all__ = [
    "DIRECTIVES",
    "EntityRequest",
    "EventQuery",
    "ListRequest",
    "entity_request",
    "event_fields",
    "event_query",
    "list_request",
    "paging",
    "pairs",
    "split_paging",
]
