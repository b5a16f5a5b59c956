"""How an entity is shown: stored bytes with its address in front, or the attributes that were asked for.

Stored bytes hold everything but `href`, which is spliced in; a read decodes nothing unless `fields` selects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

PLAIN_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:@!$&'()*+=-]*")
"""Identifiers that stand in a path and in JSON as they are. Every identifier that is made here is one."""

Selection = Mapping[str, "Selection"]
"""Names of attributes to show, each with the names to show below it (none: all of it)."""

_encode = msgspec.json.Encoder().encode


def selection(paths: Iterable[str]) -> Selection:
    """What `fields=a,b.c` selects; a longer path beside a shorter one adds nothing."""
    chosen: dict[str, Any] = {}
    for path in sorted(paths, key=lambda path: path.count(".")):
        place = chosen
        parts = path.split(".")
        for depth, part in enumerate(parts):
            if part in place and not place[part]:
                break
            place = place.setdefault(part, {})
            if depth == len(parts) - 1:
                place.clear()
    return chosen


def select(value: Any, chosen: Selection) -> Any:
    """The chosen parts of a value; arrays on the way are entered."""
    if not chosen:
        return value
    if isinstance(value, list):
        return [select(element, chosen) for element in value]
    if not isinstance(value, dict):
        return value
    return {name: select(item, chosen[name]) for name, item in value.items() if name in chosen}


class Representation:
    """Shows the entities of one resource."""

    def __init__(self, collection: str) -> None:
        """`collection` is the full address of the resource, without a trailing slash."""
        self.collection = collection
        self._start = f'{{"href":"{collection}/'.encode()

    def address(self, entity_id: str) -> str:
        """Where an entity is served."""
        return f"{self.collection}/{quote(entity_id, safe=':@!$&()*+,;=~')}"

    def whole(self, entity_id: str, body: bytes) -> bytes:
        """An entity with its `href`."""
        if PLAIN_IDENTIFIER.fullmatch(entity_id):
            return b'%b%b",%b' % (self._start, entity_id.encode(), body[1:])
        return b'{"href":%b,%b' % (_encode(self.address(entity_id)), body[1:])

    def part(self, entity_id: str, body: bytes, chosen: Selection) -> bytes:
        """`id`, `href` and the chosen attributes of an entity."""
        shown = select(msgspec.json.decode(body), {**chosen, "id": {}})
        return _encode({"href": self.address(entity_id), **shown})

    def listed(self, ids: Iterable[str], bodies: Iterable[bytes], chosen: Selection | None) -> bytes:
        """A page of entities as a JSON array."""
        if chosen is None:
            return b"[%b]" % b",".join(map(self.whole, ids, bodies))
        return b"[%b]" % b",".join(self.part(i, body, chosen) for i, body in zip(ids, bodies, strict=True))
