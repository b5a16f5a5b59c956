"""What each code means that a caller can meet over HTTP: for the pages `/docs/errors` and docs/errors.md.

A text between backticks is a name of the interface or of a setting.
"""

from __future__ import annotations

from typing import Final

from hansa.core.errors import Code

MEANINGS: Final[dict[Code, str]] = {
    Code.MALFORMED: (
        "the body is not JSON or nests deeper than `body_depth_max`, or the request cannot be read"
    ),
    Code.INVALID: "a value breaks a rule: a missing attribute, a wrong type, an unknown query parameter",
    Code.UNAUTHENTICATED: "a token is required, or the one of the request does not verify",
    Code.FORBIDDEN: "the token is valid, and its roles do not allow this",
    Code.POWER_MISSING: "the credential gives other powers than the one that is needed",
    Code.NOT_FOUND: "there is no such entity or path, or it is private and the request has no token",
    Code.METHOD_NOT_ALLOWED: "the path exists and does not take this method; `Allow` says which",
    Code.NOT_ACCEPTABLE: "none of the media types in `Accept` can be produced",
    Code.CONFLICT: "the identifier exists already, or the entity changed meanwhile",
    Code.READ_ONLY_REPLICA: "the entity has its origin at another member, which alone may change it, and the write was not forwarded",
    Code.IDENTIFIER_RESERVED: (
        "only another member can publish under this identifier: leave out `id`, or choose another one"
    ),
    Code.TRANSITION_REFUSED: "the state cannot follow the one that the entity is in; the message names those that can",
    Code.REFERENCE_WRONG_TYPE: (
        "an entity with this identifier is here, and of a type that the attribute does not refer to"
    ),
    Code.REFERENCE_UNRESOLVED: "no entity with this identifier is here, and `unresolved_references` is `refuse`",
    Code.STILL_REFERENCED: (
        "entities of this marketplace refer to the one that is to be deleted; the message names some"
    ),
    Code.PRECONDITION_FAILED: "`If-Match` names another version than the one that is here",
    Code.IDEMPOTENCY_KEY_REUSED: "another request was carried out with this `Idempotency-Key`",
    Code.TOO_LARGE: "the body exceeds `body_size_max_bytes`",
    Code.UNSUPPORTED_MEDIA_TYPE: "the body has a media type that this method does not take",
    Code.RANGE_NOT_SATISFIABLE: "a `Range` begins beyond the end of the list",
    Code.OVERLOADED: "too many requests, writes or streams are waiting; try again after `Retry-After`",
    Code.SEARCH_TOO_SLOW: (
        "a list compares or sorts by what has no index, and took too long; add it to "
        "`indexed_attributes`, or filter by something with an index first"
    ),
    Code.UNAVAILABLE: "a part that the request needs does not answer now; try again after `Retry-After`",
    Code.DISK_FULL: "less than `disk_free_min_bytes` are free, or a write failed for lack of space",
    Code.URI_TOO_LONG: "the query string exceeds `query_length_max_chars`, or has more than 500 parameters",
    Code.NOT_IMPLEMENTED: "a JSONPath uses a construct that is not supported; the message names it",
    Code.INTERNAL: "the server failed; its log has the details",
}
