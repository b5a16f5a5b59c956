"""Routes of an API are made at the first request for one of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hansa.business.http.messages import Request, Response
from hansa.business.http.routing import Match, Route, RoutingTable, route
from hansa.core.errors import Refused


async def answer(_: Request, __: str) -> Response:
    return Response(204, b"")


HERE = route({"GET": answer}, {})
BELOW = route({"GET": answer}, {"GET": answer})


class Apis:
    """Two APIs, of which one has a base path that another one begins with."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.table = RoutingTable()
        for base in ("/api/things/v4", "/api/things"):
            self.table.add_below(base, lambda base=base: self.routes(base))  # type: ignore[misc]

    def routes(self, base: str) -> Mapping[str, Route]:
        self.made.append(base)
        return {f"{base}/": HERE, f"{base}/thing": BELOW, f"{base}/thing/{{thingId}}/part": BELOW}


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/api/things/v4", Match(HERE, None, "")),
        ("/api/things/v4/", Match(HERE, None, "")),
        ("/api/things/v4/thing", Match(BELOW, None, "")),
        ("/api/things/v4/thing/1", Match(BELOW, None, "1")),
        ("/api/things/v4/thing/1/part", Match(BELOW, "1", "")),
        ("/api/things/v4/thing/1/part/2", Match(BELOW, "1", "2")),
    ],
)
def test_any_path_of_an_api_may_be_the_first_that_is_asked_for(path: str, match: Match) -> None:
    apis = Apis()
    assert apis.table.match(path) == match
    assert apis.table.match(path) == match
    assert apis.made == sorted(apis.made)


def test_what_no_api_serves_makes_none_or_those_whose_base_path_it_has_once() -> None:
    apis = Apis()
    for path in ("", "/", "//", "/api", "/api/thing", "thing", "/other/things/v4"):
        with pytest.raises(Refused):
            apis.table.match(path)
    assert apis.made == []
    for _ in range(2):
        with pytest.raises(Refused):
            apis.table.match("/api/things/v4/nothing/1/2/3/4/5/6/7/8")
    assert apis.made == ["/api/things", "/api/things/v4"]


def test_an_api_whose_routes_cannot_be_made_is_tried_again() -> None:
    table, faults = RoutingTable(), [ZeroDivisionError(), ZeroDivisionError()]

    def make() -> Mapping[str, Route]:
        if faults:
            raise faults.pop()
        return {"/api/thing": BELOW}

    table.add_below("/api", make)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            table.match("/api/thing")
    assert table.match("/api/thing") == Match(BELOW, None, "")
