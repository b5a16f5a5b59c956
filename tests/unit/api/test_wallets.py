"""What browsers and wallets request of a login over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.wallets import ExchangeApi, LoginsApi, routes
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.identity.presentations import CodeView, LoginLinks, LoginView
from hansa.identity.principal import Principal
from hansa.identity.sessions import LoggedIn
from hansa.node.http.application import rest_application
from tests.support.asgi import AsgiClient
from tests.support.asgi import Response as Answer
from tests.support.credentials import sd_jwt
from tests.support.wallets import ENDPOINT, Scene, answer_form, presented, request_claims

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
JSON: Final = {"accept": "application/json"}
PAGE: Final = {"accept": "text/html"}


class Pages:
    """The pages of a login, as the text that matters."""

    def start(self, _: Request, return_to: str) -> Response:
        return Response(f"start {return_to}")

    def waiting(self, _: Request, name: str, links: LoginLinks, declined: str) -> Response:
        return Response(f"waiting {name} {links.other_device} {declined}")

    def returning(self, _: Request, name: str) -> Response:
        return Response(f"returning {name}")

    def confirming(self, _: Request, name: str, view: LoginView, problem: str) -> Response:
        assert view.principal is not None
        return Response(f"confirming {name} {view.principal.name} {problem}")

    def over(self, _: Request, sentence: str, status: int) -> Response:
        return Response(f"over {sentence}", status)

    def code(self, _: Request, view: CodeView) -> Response:
        return Response(f"code {view.code} {view.principal.name}")


class Site:
    """A marketplace with logins, and the sessions that have begun."""

    def __init__(self, scene: Scene | None = None, endpoint: str = ENDPOINT) -> None:
        self.scene = scene or Scene()
        self.begun: list[tuple[Principal, str, Mapping[bytes, bytes]]] = []
        api = LoginsApi(self.scene.logins, Pages(), self.on_login, endpoint, lambda _: "192.0.2.1", Limits())
        self.client = AsgiClient(
            rest_application(routes(api, ExchangeApi(self.scene.logins))), {"host": "market.example"}
        )

    async def on_login(
        self, principal: Principal, return_to: str, headers: Mapping[bytes, bytes]
    ) -> LoggedIn:
        self.begun.append((principal, return_to, headers))
        return LoggedIn(return_to, ("__Host-hansa-x=fresh; Path=/; Secure; HttpOnly",))

    async def begin(self, **content: str) -> tuple[dict[str, Any], str]:
        """What a program is told of a new login, and the cookie of the browser."""
        answer = await self.client.post("/login", content, headers=JSON)
        assert answer.status == 200
        told: dict[str, Any] = answer.json()
        return told, answer.headers["set-cookie"].partition(";")[0]

    async def fetched(self, wallet_url: str) -> dict[str, Any]:
        """The request behind a link, as a wallet reads it."""
        answer = await self.client.get(request_path(wallet_url))
        assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
        return request_claims(answer.body.decode())

    async def presented(self, wallet_url: str, text: str | None = None) -> Answer:
        """What a wallet is answered that presents something."""
        request = await self.fetched(wallet_url)
        body = answer_form(request, text or presented(request))
        return await self.client.post(urlsplit(request["response_uri"]).path, body=body, headers=FORM)


def request_path(wallet_url: str) -> str:
    """Where a wallet fetches the request of a link."""
    (address,) = parse_qs(urlsplit(wallet_url).query)["request_uri"]
    assert address.startswith(ENDPOINT)
    return address.removeprefix(ENDPOINT)


def target(address: str) -> str:
    """Path and query of an address of this marketplace."""
    assert address.startswith(ENDPOINT)
    return address.removeprefix(ENDPOINT)


async def test_a_program_logs_somebody_in() -> None:
    site = Site()
    told, cookie = await site.begin(return_to="/orders")
    answer = await site.presented(told["wallet_url"])
    assert (answer.status, set(answer.json())) == (200, {"redirect_uri"})
    back = await site.client.get(target(answer.json()["redirect_uri"]), headers={**JSON, "cookie": cookie})
    assert back.json() == {"state": "completed", "location": "/orders"}
    assert [(one.name, where) for one, where, _ in site.begun] == [("Ana Prueba", "/orders")]


async def test_a_program_sees_how_a_login_goes_on() -> None:
    site = Site()
    told, cookie = await site.begin()
    states = []
    for step in ("begun", "answered"):
        if step == "answered":
            await site.presented(told["wallet_url"])
        states.append((await site.client.get(told["poll"], headers={**JSON, "cookie": cookie})).json())
    assert states == [{"state": "waiting"}, {"state": "answered"}]


async def test_a_browser_is_led_from_the_form_to_the_wallet_and_back() -> None:
    site = Site()
    begun = await site.client.post("/login", body=b"return_to=%2Fx", headers={**FORM, **PAGE})
    assert begun.status == 303
    browser = site.client.with_headers(**PAGE, cookie=begun.headers["set-cookie"].partition(";")[0])
    waiting = await browser.get(begun.headers["location"])
    assert waiting.body.startswith(b"waiting ")
    links = site.scene.logins._logins._logins
    (login,) = links.values()
    answer = await site.presented(site.scene.logins.links(login.requests[0].id, "x").same_device[0].address)
    back = await browser.get(target(answer.json()["redirect_uri"]))
    assert (back.status, back.headers["location"]) == (303, "/x")


async def test_a_person_types_the_code_of_the_other_device() -> None:
    site = Site()
    told, cookie = await site.begin()
    answer = await site.presented(told["qr_url"])
    page = await site.client.get(target(answer.json()["redirect_uri"]))
    code = page.body.split()[1].decode()
    browser = site.client.with_headers(**JSON, cookie=cookie)
    status = (await browser.get(told["poll"])).json()
    assert status["confirm"]["name"] == "Ana Prueba"
    fields = {"confirmation": status["confirm"]["confirmation"], "code": code}
    done = await browser.post_form(told["poll"], fields)
    assert (done.status, done.json()["state"], len(site.begun)) == (200, "completed", 1)


async def test_a_code_that_is_wrong_can_be_typed_again() -> None:
    site = Site()
    told, cookie = await site.begin()
    await site.presented(told["qr_url"])
    confirmation = (await site.client.get(told["poll"], headers={**JSON, "cookie": cookie})).json()
    fields = {"confirmation": confirmation["confirm"]["confirmation"], "code": "x"}
    browser = site.client.with_headers(**PAGE, cookie=cookie)
    page = await browser.post_form(told["poll"], fields)
    assert page.body.startswith(b"confirming ")
    assert page.body.endswith(b"This is not the number that the device with the wallet shows.")


async def test_whoever_declines_is_not_logged_in() -> None:
    site = Site()
    told, cookie = await site.begin()
    await site.presented(told["qr_url"])
    browser = site.client.with_headers(**JSON, cookie=cookie)
    status = (await browser.get(told["poll"])).json()
    fields = {"confirmation": status["confirm"]["confirmation"], "action": "cancel"}
    answer = await browser.post_form(told["poll"], fields)
    assert (answer.json()["state"], site.begun) == ("refused", [])


async def test_a_wallet_that_posts_a_nonce_gets_it_back() -> None:
    site = Site()
    told, _ = await site.begin()
    fields = {"wallet_nonce": "w-1", "wallet_metadata": "{}"}
    answer = await site.client.post_form(request_path(told["wallet_url"]), fields)
    assert request_claims(answer.body.decode())["wallet_nonce"] == "w-1"


async def test_a_wallet_reads_errors_as_oauth_has_them() -> None:
    site = Site()
    told, _ = await site.begin()
    refused = await site.presented(told["wallet_url"], sd_jwt())
    assert (refused.status, set(refused.json())) == (400, {"error", "error_description"})
    assert refused.json()["error"] == "invalid_request"
    again = await site.client.get(request_path(told["wallet_url"]))
    assert (again.status, again.json()["error"]) == (404, "invalid_request_uri")


async def test_an_answer_that_is_no_form_is_refused() -> None:
    site = Site()
    told, _ = await site.begin()
    request = await site.fetched(told["wallet_url"])
    path = urlsplit(request["response_uri"]).path
    answer = await site.client.post(path, {"vp_token": {}})
    assert (answer.status, answer.json()["error"]) == (415, "invalid_request")


async def test_an_answer_as_large_as_memory_is_refused() -> None:
    site = Site()
    told, _ = await site.begin()
    request = await site.fetched(told["wallet_url"])
    path = urlsplit(request["response_uri"]).path
    answer = await site.client.request("POST", path, chunks=[b"x" * 65_536] * 100, headers=FORM)
    assert answer.status == 413


async def test_the_way_back_in_another_browser_is_refused() -> None:
    """A relayed link: the victim's wallet leads the victim's browser here, which did not begin the login."""
    site = Site()
    told, cookie = await site.begin()
    answer = await site.presented(told["wallet_url"])
    where = target(answer.json()["redirect_uri"])
    victim = await site.client.get(where, headers=PAGE)
    attacker = await site.client.get(told["poll"], headers={**JSON, "cookie": cookie})
    assert (victim.status, attacker.json()["state"], site.begun) == (403, "refused", [])


async def test_looking_at_the_way_back_neither_completes_nor_ends_a_login() -> None:
    """As programs do that check links before somebody opens them."""
    site = Site()
    reported, cookie = await site.begin()
    where = target((await site.presented(reported["wallet_url"])).json()["redirect_uri"])
    await site.client.request("HEAD", where, headers=PAGE)
    await site.client.request("HEAD", where, headers={**PAGE, "cookie": cookie})
    assert site.begun == []
    back = await site.client.get(where, headers={**JSON, "cookie": cookie})
    assert back.json()["state"] == "completed"


async def test_the_cookie_of_another_login_is_none_of_this_one() -> None:
    site = Site()
    first, cookie = await site.begin()
    told, _ = await site.begin()
    answer = await site.presented(told["wallet_url"])
    name = cookie.partition("=")[0].replace(first["poll"][7:19], told["poll"][7:19])
    forged = f"{name}={cookie.partition('=')[2]}"
    back = await site.client.get(
        target(answer.json()["redirect_uri"]), headers={**JSON, "cookie": f"{cookie}; {forged}"}
    )
    assert (back.status, site.begun) == (403, [])


async def test_the_session_is_one_that_nobody_knew_before() -> None:
    """Whatever cookie a browser brings, what it gets is made by the sessions, after the login."""
    site = Site()
    told, cookie = await site.begin()
    planted = f"{cookie}; __Host-hansa-x=planted"
    answer = await site.presented(told["wallet_url"])
    await site.client.get(target(answer.json()["redirect_uri"]), headers={**JSON, "cookie": planted})
    ((_, _, headers),) = site.begun
    assert headers[b"cookie"] == planted.encode(), "the sessions see what there was, to end it"


async def test_the_cookie_is_for_this_host_alone_and_ends() -> None:
    site = Site()
    answer = await site.client.post("/login", {}, headers=JSON)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-login-")
    for attribute in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=600"):
        assert f"; {attribute}" in cookie
    assert "Domain" not in cookie


async def test_over_plain_http_the_cookie_is_one_that_browsers_take() -> None:
    answer = await Site(endpoint="http://127.0.0.1:8101").client.post("/login", {}, headers=JSON)
    assert answer.headers["set-cookie"].startswith("login-")
    assert "Secure" not in answer.headers["set-cookie"]


FOREIGN = (
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"sec-fetch-site": "same-site", "origin": "https://other.example"},
    {"sec-fetch-site": "cross-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
)


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_page_of_somebody_else_begins_and_confirms_nothing(headers: dict[str, str]) -> None:
    site = Site()
    told, cookie = await site.begin()
    begun = await site.client.post("/login", {}, headers={**JSON, **headers})
    confirmed = await site.client.post(
        told["poll"], body=b"confirmation=x", headers={**FORM, "cookie": cookie, **headers}
    )
    assert (begun.status, confirmed.status) == (403, 403)


OPEN = (
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\t//evil.example",
    "/%0d%0aSet-Cookie:a=b\r\nLocation: https://evil.example",
    "javascript:alert(1)",
    "/../..//evil.example",
    "/x y",
    "",
    "/" + "x" * 3000,
)


@pytest.mark.parametrize("return_to", OPEN)
async def test_a_login_leads_to_no_other_place(return_to: str) -> None:
    site = Site()
    told, cookie = await site.begin(return_to=return_to)
    answer = await site.presented(told["wallet_url"])
    back = await site.client.get(target(answer.json()["redirect_uri"]), headers={**PAGE, "cookie": cookie})
    assert back.headers["location"] == "/"
    shown = await site.client.get("/login?" + urlencode({"return_to": return_to}))
    assert shown.body == b"start /"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused(Code.FORBIDDEN, "You, your organisation or this credential were removed here."), 403),
        (Unavailable(Code.OVERLOADED, "Too many people are logged in."), 429),
    ],
    ids=["removed", "too many"],
)
async def test_whoever_gets_no_session_is_not_logged_in(error: HansaError, status: int) -> None:
    class Closed(Site):
        async def on_login(self, *_: object) -> LoggedIn:
            raise error

    site = Closed()
    reported, cookie = await site.begin()
    where = target((await site.presented(reported["wallet_url"])).json()["redirect_uri"])
    answers = [await site.client.get(where, headers={**PAGE, "cookie": cookie}) for _ in range(2)]
    assert [one.status for one in answers] == [status, 404], "a code is good for one attempt"
    assert "set-cookie" not in answers[0].headers


async def test_a_login_that_is_unknown_says_so() -> None:
    site = Site()
    page = await site.client.get("/login/unknown", headers=PAGE)
    program = await site.client.get("/login/unknown", headers=JSON)
    code = await site.client.get("/oid4vp/code/unknown?response_code=x", headers=PAGE)
    assert (page.status, program.status, code.status) == (404, 404, 404)
    assert page.body.startswith(b"over This login is over, or not known any more")


async def test_a_flood_of_logins_from_one_address_is_answered_with_429() -> None:
    site = Site(Scene(limits=Limits(logins_per_address_max=5)))
    answers = [await site.client.post("/login", {}, headers=JSON) for _ in range(8)]
    assert [one.status for one in answers] == [200] * 5 + [429] * 3
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_a_login_begins_without_a_body_whatever_it_is_said_to_be() -> None:
    headers = {**JSON, "content-type": "application/octet-stream"}
    assert (await Site().client.post("/login", headers=headers)).status == 200
    assert (await Site().client.post("/login", body=b"x", headers=headers)).status == 415


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"return_to": 1}', b'{"x": "/"}', b'"/"'])
async def test_a_body_that_is_no_beginning_of_a_login_is_refused(body: bytes) -> None:
    answer = await Site().client.post(
        "/login", body=body, headers={**JSON, "content-type": "application/json"}
    )
    assert answer.status == 400


@pytest.mark.parametrize("body", [b"return_to=%2F&return_to=%2Fx", b"\xff", b"&".join([b"a=1"] * 40)])
async def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    answer = await Site().client.post("/login", body=body, headers={**JSON, **FORM})
    assert answer.status == 400


async def test_nothing_of_a_login_is_stored_by_caches() -> None:
    site = Site()
    told, cookie = await site.begin()
    for answer in (
        await site.client.post("/login", {}, headers=JSON),
        await site.client.get(told["poll"], headers={**JSON, "cookie": cookie}),
        await site.client.get(request_path(told["wallet_url"])),
        await site.presented(told["wallet_url"]),
    ):
        assert answer.headers["cache-control"] == "no-store"


async def test_a_browser_under_another_name_of_this_machine_is_led_to_the_one_with_its_cookies() -> None:
    site = Site(endpoint="http://127.0.0.1:8101")
    led = await site.client.get("/login?return_to=/x", headers={**PAGE, "host": "localhost:8101"})
    stays = await site.client.get("/login?return_to=/x", headers={**PAGE, "host": "proxy.example:8101"})
    assert (led.status, led.headers["location"]) == (307, "http://127.0.0.1:8101/login?return_to=%2Fx")
    assert stays.status == 200


async def test_words_of_others_are_not_in_errors_to_wallets() -> None:
    site = Site()
    told, _ = await site.begin()
    request = await site.fetched(told["wallet_url"])
    forged = answer_form(request, {"<script>": ["x"]})
    answer = await site.client.post(urlsplit(request["response_uri"]).path, body=forged, headers=FORM)
    assert answer.status == 400
    assert "<" not in json.dumps(answer.json())
