"""The query language of TMF630: what the query string of a list, of one entity or of a hub registration asks for."""

from hansa.business.query.events import EventQuery, event_fields, event_query
from hansa.business.query.paging import paging, taken_out
from hansa.business.query.parameters import pairs
from hansa.business.query.requests import DIRECTIVES, ListRequest, OneRequest, fields_of, list_request

__all__ = [
    "DIRECTIVES",
    "EventQuery",
    "ListRequest",
    "OneRequest",
    "event_fields",
    "event_query",
    "fields_of",
    "list_request",
    "paging",
    "pairs",
    "taken_out",
]
