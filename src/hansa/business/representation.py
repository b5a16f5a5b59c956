"""How an entity is shown: stored bytes with its address in front, or the attributes that were requested.

Stored bytes hold everything but `href`, which is spliced in; a read decodes nothing unless `fields` selects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from hansa.business.models import Api, Resource
from hansa.core.identifiers import PLAIN_IDENTIFIER
from hansa.store import Page
from hansa.store.records import tail_of

_encode = msgspec.json.Encoder().encode

Names = Mapping[str, "Names"]
"""Names of attributes to show, each with the names to show below it (none: all of it)."""


Locations = Callable[[Any], Iterator[tuple[str | int, ...]]]
"""Names and positions that lead to each value in an entity that is to be shown."""


class Locator(Protocol):
    """Says where in entities the values are that it selects; a JSONPath."""

    def locating(self) -> Locations:
        """A function for the entities of one answer, over which it may have a bound."""


class Selection(msgspec.Struct, frozen=True):
    """What of an entity is shown; with nothing in it, the identity alone."""

    names: Names = {}
    locators: tuple[Locator, ...] = ()

    def selector(self) -> Callable[[Any], Any]:
        """A function that selects from the entities of one answer.

        Raises:
            Refused: (the function) as its locators.
        """
        if not self.locators:
            return partial(_named, names=self.names) if self.names else lambda _: {}
        locating = [locator.locating() for locator in self.locators]
        return partial(_located, names=self.names or None, locating=locating)


def selection(paths: Iterable[str], locators: Iterable[Locator] = ()) -> Selection:
    """What `fields=a,b.c` selects; a longer path beside a shorter one adds nothing."""
    names: dict[str, Any] = {}
    for path in sorted(paths, key=lambda path: path.count(".")):
        place = names
        parts = path.split(".")
        for depth, part in enumerate(parts):
            if part in place and not place[part]:
                break
            place = place.setdefault(part, {})
            if depth == len(parts) - 1:
                place.clear()
    return Selection(names, tuple(locators))


def select(entity: Any, fields: Selection) -> Any:
    """The selected parts of an entity; arrays on the way are entered."""
    return fields.selector()(entity)


def _located(entity: Any, names: Names | None, locating: Iterable[Locations]) -> Any:
    located: dict[str | int, Any] = {}
    for locations in locating:
        for location in locations(entity):
            if not location:
                return entity
            _mark(located, location)
    return _picked(entity, names, located or None)


def _named(value: Any, names: Names) -> Any:
    if not names:
        return value
    if isinstance(value, list):
        return [_named(element, names) for element in value]
    if not isinstance(value, dict):
        return value
    return {name: _named(item, names[name]) for name, item in value.items() if name in names}


def _mark(located: dict[str | int, Any], location: tuple[str | int, ...]) -> None:
    """Note that everything at a location is shown; a longer location beside a shorter one adds nothing."""
    place = located
    for depth, key in enumerate(location):
        if key in place and not place[key]:
            return
        place = place.setdefault(key, {})
        if depth == len(location) - 1:
            place.clear()


def _picked(value: Any, names: Names | None, located: dict[str | int, Any] | None) -> Any:
    """What names or locations choose of a value; None chooses nothing, an empty one everything."""
    if names == {} or located == {}:
        return value
    if isinstance(value, list):
        return [
            _picked(element, names, located.get(index) if located is not None else None)
            for index, element in enumerate(value)
            if names is not None or (located is not None and index in located)
        ]
    if not isinstance(value, dict):
        return value
    return {
        name: _picked(
            item,
            names.get(name) if names is not None else None,
            located.get(name) if located is not None else None,
        )
        for name, item in value.items()
        if (names is not None and name in names) or (located is not None and name in located)
    }


class Representation:
    """Shows the entities of one resource."""

    def __init__(self, collection: str) -> None:
        """`collection` is the full address of the resource, without a trailing slash."""
        self.collection = collection
        self._start = f'{{"href":"{collection}/'.encode()
        self._next = b"," + self._start

    def address(self, entity_id: str) -> str:
        """Where an entity is served."""
        return f"{self.collection}/{_segment(entity_id)}"

    def whole(self, entity_id: str, body: bytes) -> bytes:
        """An entity with its `href`."""
        if PLAIN_IDENTIFIER.fullmatch(entity_id):
            return self._start + tail_of(entity_id, body)
        return b'{"href":%b,%b' % (_encode(self.address(entity_id)), body[1:])

    def part(self, entity_id: str, body: bytes, fields: Selection | None) -> bytes:
        """`id`, `href` and the selected attributes of an entity."""
        if fields is None:
            return self.whole(entity_id, body)
        return self._part(entity_id, body, fields.selector())

    def _part(self, entity_id: str, body: bytes, selector: Callable[[Any], Any]) -> bytes:
        selected = selector(msgspec.json.decode(body))
        return _encode({"href": self.address(entity_id), "id": entity_id, **selected})

    def page(self, page: Page) -> bytes:
        """A page of whole entities as a JSON array."""
        if not page.is_plain:
            return self.listed(page.ids, page.bodies, None)
        return b"[%b%b]" % (self._start, self._next.join(page.tails)) if page.tails else b"[]"

    def listed(self, ids: Iterable[str], bodies: Iterable[bytes], fields: Selection | None) -> bytes:
        """What is shown of some entities as a JSON array."""
        if fields is None:
            return b"[%b]" % b",".join(map(self.whole, ids, bodies))
        selector = fields.selector()
        return b"[%b]" % b",".join(
            self._part(one, body, selector) for one, body in zip(ids, bodies, strict=True)
        )


def collection_address(endpoint: str, api: Api, resource: Resource, parent_id: str | None) -> str:
    """Full address of a collection, of a sub-resource below its parent, without a trailing slash."""
    if resource.parent_name is None:
        return f"{endpoint}{api.base_path}{resource.path}"
    return f"{endpoint}{api.base_path}{resource.parent_name}/{_segment(parent_id or '')}/{resource.name}"


def _segment(entity_id: str) -> str:
    return entity_id if PLAIN_IDENTIFIER.fullmatch(entity_id) else quote(entity_id, safe=":@!$&()*+,;=~")
