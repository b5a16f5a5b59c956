"""The query language of TMF630, parsed into values that operations and the store understand.

A query string (`parameters`) is made of filters (`filters`, or a JSONPath: `jsonpath_text` parses it,
`jsonpath_conditions` makes conditions of it, `jsonpath` evaluates what SQL cannot) and of directives:
`sorting`, `selecting` (fields), `paging`, `expanding`. `requests` puts them together for a list or one
entity, `events` for a hub registration. `paths` checks attribute paths against the models.
"""

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
