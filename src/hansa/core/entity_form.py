"""What every member accepts of a published entity, and therefore no member publishes otherwise.

These bounds belong to the league, not to a member's settings: they are the same at all members of a release,
checked before an entity is announced and again when it is retrieved. So an entity that an honest origin
publishes is within the bounds of every reader, and one that is not proves that its origin is at fault. A
member's own limits for what it accepts from clients may be higher; what exceeds these bounds stays with it.
See docs/decisions/0028-bounds-of-published-entities-belong-to-the-league.md.
"""

from __future__ import annotations

from typing import Any, Final

from hansa.core.bounded_json import has_more_levels, has_more_nodes
from hansa.core.identifiers import PLAIN_IDENTIFIER

ENTITY_SIZE_MAX_BYTES: Final = 1_048_576
"""Canonical JSON without `href`."""
ENTITY_DEPTH_MAX: Final = 64
"""Levels of objects and arrays."""
ENTITY_NODES_MAX: Final = 32_768
"""Values of every kind, as a client's body may have 20,000 before this marketplace adds its own."""
IDENTIFIER_LENGTH_MAX_CHARS: Final = 256


def size_violation(body: bytes) -> str | None:
    """What is wrong with the size of an entity, as the end of a sentence about it; None: nothing."""
    if len(body) > ENTITY_SIZE_MAX_BYTES:
        return f"has {len(body)} bytes; a published entity has at most {ENTITY_SIZE_MAX_BYTES}"
    return None


def form_violation(body: bytes, entity: Any) -> str | None:
    """What is wrong with the form of an entity of any type, as the end of a sentence about it; None: nothing.

    Args:
        body: Its canonical JSON.
        entity: The same, decoded.
    """
    if type(entity) is not dict:
        return "is not a JSON object"
    if not is_identifier(entity.get("id")):
        return "has no identifier that a marketplace accepts"
    if "href" in entity:
        return "has an href, which is not part of what is replicated"
    if has_more_levels(body, entity, ENTITY_DEPTH_MAX):
        return f"is nested deeper than {ENTITY_DEPTH_MAX} levels"
    if has_more_nodes(body, entity, ENTITY_NODES_MAX):
        return f"consists of more than {ENTITY_NODES_MAX} values"
    return None


def is_identifier(value: object) -> bool:
    """Whether a value is an identifier that may stand in a path and on a page as it is."""
    return (
        type(value) is str
        and len(value) <= IDENTIFIER_LENGTH_MAX_CHARS
        and PLAIN_IDENTIFIER.fullmatch(value) is not None
    )
