"""Which handler answers which method at which path.

A route is looked up by path, as it is or without its last segment: two dictionary look-ups whatever the
number of APIs; paths of sub-resources without the identifier of the parent. The routes of an API are made at
the first request for one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from hansa.business.http.messages import Request, Response, allow, method_not_allowed
from hansa.business.http.shared_headers import Header
from hansa.core.errors import Code, Refused

Handle = Callable[[Request, str], Awaitable[Response]]
"""Answers a request; the second argument is the identifier in the path, empty at a collection."""

HandleAtOnce = Callable[[Mapping[bytes, bytes], bytes, str], Response | None]
"""Answers a GET from what is in memory, by its headers, its query string and the identifier in its path; None
when that is not enough, and `Handle` has to answer."""

METHOD_ORDER: Final = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
"""In which methods are listed."""
PARENT_MARK: Final = "{}"
"""Stands for the identifier of a parent in a path that is looked up."""


class Route(msgspec.Struct, frozen=True):
    """The handlers of a collection and of its items, by HTTP method."""

    collection: Mapping[str, Handle]
    item: Mapping[str, Handle]
    is_open: bool = False
    """Whether everybody may read here."""
    list_at_once: HandleAtOnce | None = None
    retrieve_at_once: HandleAtOnce | None = None


class Match(NamedTuple):
    """What a path leads to."""

    route: Route
    parent_id: str | None
    entity_id: str


def route(
    collection: dict[str, Handle],
    item: dict[str, Handle],
    *,
    is_open: bool = False,
    list_at_once: HandleAtOnce | None = None,
    retrieve_at_once: HandleAtOnce | None = None,
) -> Route:
    """A route; what answers GET answers HEAD as well."""
    for methods in (collection, item):
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return Route(collection, item, is_open, list_at_once, retrieve_at_once)


def in_order(methods: Mapping[str, object] | frozenset[str]) -> tuple[str, ...]:
    """The methods that are offered, with OPTIONS, in the order in which they are listed."""
    return tuple(name for name in METHOD_ORDER if name in methods or name == "OPTIONS")


def respond_without_handler(method: str, methods: Mapping[str, Handle], *more: Header) -> Response:
    """The response to a method without a handler: the methods that there are, and to OPTIONS `more`."""
    allowed = in_order(methods)
    if method == "OPTIONS":
        return Response(204, b"", (allow(allowed), *more))
    return method_not_allowed(allowed)


class RoutingTable:
    """Routes by path."""

    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._sub_routes: dict[str, Route] = {}
        self._entry_points: dict[str, Route] = {}
        self._pending: dict[str, Callable[[], Mapping[str, Route]]] = {}

    def add_below(self, base: str, make: Callable[[], Mapping[str, Route]]) -> None:
        """Add the routes below a base path, which has no slash at its end, at the first request for one."""
        self._pending[base] = make

    def add(self, path: str, new_route: Route) -> None:
        """Add a route; `{…}` in its path stands for the identifier of a parent.

        A path with a slash at its end is an entry point, which has no items.
        """
        if path.endswith("/"):
            self._entry_points[path.rstrip("/")] = new_route
        elif "{" in path:
            path = path[: path.index("{")] + PARENT_MARK + path[path.index("}") + 1 :]
            self._sub_routes[path] = new_route
        else:
            self._routes[path] = new_route

    def at_once(self, path: str) -> tuple[HandleAtOnce | None, str, bool]:
        """What may answer a GET at once, the identifier in the path, and whether everybody may read there."""
        exact = self._routes.get(path)
        if exact is not None:
            return exact.list_at_once, "", exact.is_open
        head, _, last = path.rpartition("/")
        of_item = self._routes.get(head)
        if of_item is None or not last:
            return None, "", False
        return of_item.retrieve_at_once, last, of_item.is_open

    def match(self, path: str) -> Match:
        """The route at a path.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        exact = self._routes.get(path)
        if exact is not None:
            return Match(exact, None, "")
        head, _, last = path.rpartition("/")
        of_item = self._routes.get(head)
        if of_item is not None:  # a collection may have a slash behind it: nothing follows that
            return Match(of_item, None, last)
        # The collection, and then the item, of a sub-resource: …/parent/{id}/name and
        # …/parent/{id}/name/{id}.
        upper, _, name = head.rpartition("/")
        for above, sub, entity_id in ((upper and head, last, ""), (upper, name, last)):
            parent, _, parent_id = above.rpartition("/")
            below_parent = self._sub_routes.get(f"{parent}/{PARENT_MARK}/{sub}")
            if below_parent is not None and parent_id:
                return Match(below_parent, parent_id, entity_id)
        entry_point = self._entry_points.get(path.removesuffix("/"))
        if entry_point is not None:
            return Match(entry_point, None, "")
        if self._has_made(path):
            return self.match(path)
        raise Refused(Code.NOT_FOUND, "No API serves this path.")

    def _has_made(self, path: str) -> bool:
        """Whether the routes of an API have been made just now, since a path is below its base path."""
        end = 0
        while end >= 0:
            end = path.find("/", end + 1)
            base = path if end < 0 else path[:end]
            if base in self._pending:
                for name, made in self._pending[base]().items():
                    self.add(name, made)
                del self._pending[base]
                return True
        return False
