"""A whole marketplace, as `hansa serve` runs it, against malformed requests on every route that it has.

Routes are taken from the models and from the application itself, so that a new one is tried without anybody
thinking of it.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route

from hansa.business.models import load
from hansa.node.wiring import Marketplace
from tests.support.malformed import FOREIGN_MEDIA_TYPES, MALFORMED_BODIES, complaint
from tests.support.routes import collections, hubs, share_of, writes
from tests.support.whole import Whole

LEDGER_IS_AWAY = {
    "/readyz",
    "/league/v1/members",
    "/league/v1/ledger",
    "/league/v1/events",
    "/league/v1/events/stream",
    "/league/v1/proposals",
    "/league/v1/proposals/{id}",
    "/league/v1/ledger/state",
    "/league/v1/ledger/batches",
}
"""Answered with 503 here, where no ledger runs."""

MODELS = load()
COLLECTIONS = collections(MODELS)
HUBS = hubs(MODELS)
ENTITIES = "/league/v1/entities"
FORWARDED = "/league/v1/writes"
"""Takes only what a member has signed."""
BUNDLES = "/league/v1/bundles"
"""Takes no JSON; what is wrong with its bodies is tried in `tests/unit/replication/test_bundles.py`."""
CONFIDENTIAL = "/league/v1/confidential"
"""Takes only what a member has signed; what is wrong with it is tried in
`tests/unit/replication/test_confidential.py`."""
RETRY = "/league/v1/replicas/retry"
RESYNC = "/league/v1/resync"
CONFIDENTIAL_LOST = "/league/v1/confidential/lost"
"""Likewise, in `tests/unit/replication/test_sealed_restoration.py`."""
OF_LOST = tuple(
    f"/league/v1/lost/{what}"
    for what in ("restore", "restore-confidential", "withdraw", "withdraw-confidential")
)
SUBSCRIPTIONS = "/league/v1/subscriptions"
OF_OPENID = {f"/oidc/{what}" for what in ("authorize", "introspect", "logout", "par", "revoke", "token")}
REMOVED = "/oidc/removed"
USERINFO = "/oidc/userinfo"
"""Take forms, and refuse in the words of OAuth: tried in `tests/unit/identity/provider`."""
LIGHT = "/league/v1/light"
TRANSACTIONS = "/league/v1/ledger/transactions"
OF_PEERS = {f"/league/v1/peers/{{did}}/{what}" for what in ("pause", "resume")}
"""Take no body; what is wrong with requests is tried in `tests/unit/replication/test_pauses.py`."""
OF_LOGINS = {"/login", "/login/{id}", "/oid4vp/request/{id}", "/oid4vp/response/{id}"}
"""Take forms; what is wrong with them is tried in `tests/unit/api/test_wallets.py`."""
OF_PROVIDERS = {"/provider/catalogue/apply", "/provider/orders/{id}"}
"""Take forms of people who are logged in: tried in `tests/unit/portal/test_offers.py`."""
OF_EDITING = {
    *("/provider/new/{kind}", "/provider/entities/{id}/edit", "/provider/entities/{id}/visibility"),
    *(
        "/provider/visibility",
        "/provider/import",
        *(f"/provider/import/{what}" for what in ("discard", "mapping", "write")),
    ),
    *(f"/provider/drafts/{{id}}/{what}" for what in ("conflict", "discard", "{step}")),
}
"""Likewise, in `tests/unit/portal/test_editing_drafts.py`."""
FOR_PEOPLE = ("/operator", "/provider")
"""Pages that lead strangers, and tokens, to the login."""
OF_OPERATORS = "/operator"
"""Pages, with forms, for sessions alone: tried in `tests/unit/node/test_operators_alone.py` and
`tests/unit/portal/operators`."""
OF_FAVOURITES = {"/favourites", "/favourites/remove"}
"""Take forms; what is wrong with them is tried in `tests/unit/portal/test_favourites.py`."""
OF_SUBSCRIPTIONS = {f"{SUBSCRIPTIONS}/{{id}}/{what}" for what in ("resend", "resume", "secret", "test")}
WRITES = [
    *writes(MODELS),
    *(("POST", path) for path in (ENTITIES, RETRY, RESYNC, SUBSCRIPTIONS, REMOVED, *OF_LOST)),
]
LIMITS = {limit[:9]: limit for limit in ("-1", "many", "9" * 5000, "1.5", "%D9%A1", "%FF%FE", "")}
TEN_MEGABYTES = 10_485_760
ODD_SEGMENTS = (
    "%00",
    "%FF",
    "..%2F..%2Fetc",
    "%2E%2E",
    "x" * 60_000,
    "%F0%9F%98%80",
    "'%20OR%201=1--",
    "%25",
)
ODD_QUERIES = (
    "limit=-1",
    "limit=many",
    "limit=" + "9" * 5000,
    "limit=%D9%A1",
    "limit=%FF%FE",
    "offset=-1",
    "after=%00",
    "hl=x",
    "fields=%00",
    "sort=--",
    "=",
    "&&&=&",
    "%",
    "name=%FF",
    "a" * 60_000,
    "&".join(["type=x"] * 2000),
)


def rest_routes(marketplace: Marketplace) -> list[Route]:
    """All routes beside the TM Forum APIs."""
    rest = marketplace.front_door._rest
    assert isinstance(rest, Starlette)
    routes = [route for route in rest.routes if isinstance(route, Route)]
    assert len(routes) == len(rest.routes)
    return routes


async def test_the_only_bodies_outside_of_the_apis_are_known(whole: Whole) -> None:
    """Otherwise `WRITES` lacks a route."""
    taking = set()
    for route in rest_routes(whole.marketplace):
        methods = route.methods or ["any"]
        if not {"GET", "HEAD"}.issuperset(methods) and not route.path.startswith(OF_OPERATORS):
            taking.add(route.path)
    assert taking == {
        BUNDLES,
        CONFIDENTIAL,
        CONFIDENTIAL_LOST,
        FORWARDED,
        ENTITIES,
        RETRY,
        RESYNC,
        *OF_LOST,
        LIGHT,
        TRANSACTIONS,
        SUBSCRIPTIONS,
        *OF_LOGINS,
        *OF_OPENID,
        USERINFO,
        REMOVED,
        *OF_PEERS,
        *OF_PROVIDERS,
        *OF_EDITING,
        *OF_FAVOURITES,
        *OF_SUBSCRIPTIONS,
        f"{SUBSCRIPTIONS}/{{id}}",
    }


async def test_a_malformed_body_is_refused_with_a_reason(whole: Whole) -> None:
    complaints = []
    for method, target, what, body in share_of(MALFORMED_BODIES, WRITES):
        answer = await whole.client.request(method, target, body=body)
        allowed = [400, 413] if len(body) > 50_000 else [400]
        complaints.append(complaint(method, target, what, answer.status, answer.body, allowed))
    foreign = {media_type: media_type for media_type in FOREIGN_MEDIA_TYPES}
    for method, target, what, media_type in share_of(foreign, WRITES):
        headers = {"content-type": media_type}
        answer = await whole.client.request(method, target, body=b'{"name":"x"}', headers=headers)
        complaints.append(complaint(method, target, what, answer.status, answer.body, [415]))
    for method, target, what, size in share_of({"10 MB": TEN_MEGABYTES}, WRITES):
        answer = await whole.client.request(method, target, body=b" " * size)
        complaints.append(complaint(method, target, what, answer.status, answer.body, [413]))
    assert [found for found in complaints if found] == []
    assert await whole.marketplace.store.last_change() == 0


async def test_no_query_and_no_path_makes_a_route_fail(whole: Whole) -> None:
    complaints: list[str | None] = []
    readable = [one for one in rest_routes(whole.marketplace) if one.methods is None or "GET" in one.methods]
    answering_otherwise = (BUNDLES, USERINFO, "/login", "/oid4vp/", "/oidc/authorize", "/oidc/logout")
    paths = {one.path for one in readable if not one.path.startswith((*answering_otherwise, OF_OPERATORS))}
    paths |= {*COLLECTIONS, *HUBS}
    for path in sorted(paths):
        for segment in ODD_SEGMENTS:
            target = path.replace("{id}", segment) if "{id}" in path else f"{path.rstrip('/')}/{segment}"
            answer = await whole.client.get(target)
            if answer.status == 503 and path in LEDGER_IS_AWAY:
                continue
            if answer.status == 303 and path.startswith(FOR_PEOPLE):
                continue
            complaints.append(complaint("GET", target, "an odd path", answer.status, answer.body, [400, 404]))
        for query in ODD_QUERIES:
            target = path.replace("{id}", "x") + f"?{query}"
            answer = await whole.client.get(target)
            if answer.status not in {200, 303} and not (answer.status == 503 and path in LEDGER_IS_AWAY):
                allowed = [400, 404, 414]
                complaints.append(
                    complaint("GET", target, "an odd query", answer.status, answer.body, allowed)
                )
    assert [found for found in complaints if found] == []


async def test_a_limit_that_is_no_number_is_refused_on_every_list(whole: Whole) -> None:
    lists = [("GET", path) for path in (*COLLECTIONS, "/league/v1/events", "/league/v1/catalogue")]
    complaints = []
    for method, path, what, limit in share_of(LIMITS, lists):
        answer = await whole.client.get(f"{path}?limit={limit}")
        complaints.append(complaint(method, path, what, answer.status, answer.body, [400, 404]))
    assert [found for found in complaints if found] == []


async def test_a_parameter_that_does_not_exist_is_refused(whole: Whole) -> None:
    of_the_league = ("/league/v1/members", "/league/v1/ledger", "/league/v1/events", "/league/v1/catalogue")
    complaints = []
    for path in (*COLLECTIONS, *HUBS, *of_the_league, f"{ENTITIES}/x"):
        answer = await whole.client.get(f"{path}?unheard-of=1")
        complaints.append(
            complaint("GET", path, "an unknown parameter", answer.status, answer.body, [400, 404])
        )
    assert [found for found in complaints if found] == []


async def test_every_response_tells_caches_what_it_depends_on(whole: Whole) -> None:
    stranger = whole.anonymous
    paths = {route.path.replace("{id}", "x") for route in rest_routes(whole.marketplace)}
    for path in sorted(paths | {*COLLECTIONS, *HUBS, "/nowhere"}):
        if path.endswith("/stream"):
            continue
        for client, expected in (
            (stranger, {"no-cache", "no-store"}),
            (whole.client, {"private, no-store", "no-store"}),
        ):
            answer = await client.get(path)
            assert "Authorization" in answer.headers["vary"], path
            assert answer.headers["cache-control"] in expected, path


async def test_a_method_that_a_route_does_not_have_is_refused(whole: Whole) -> None:
    complaints = []
    paths = {route.path.replace("{id}", "x") for route in rest_routes(whole.marketplace)}
    for path in sorted(paths | {*COLLECTIONS, *HUBS}):
        for method in ("PUT", "TRACE", "PROPFIND", "X" * 5000):
            answer = await whole.client.request(method, path, body=b"{}")
            complaints.append(complaint(method, path, "no such method", answer.status, answer.body, [405]))
    assert [found for found in complaints if found] == []
