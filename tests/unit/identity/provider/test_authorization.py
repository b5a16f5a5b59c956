"""Browsers come with requests of clients, and go to them with codes; or nowhere that is not registered."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from hansa.core.errors import Code, Refused
from hansa.identity.provider.clients.records import ClientRecord, check_client
from hansa.identity.provider.clients.registry import write_clients
from tests.support.logins import ENDPOINT
from tests.support.provider import (
    BACK,
    CHALLENGE,
    OTHER_KEY,
    PORTAL,
    PUBLIC,
    Provided,
    asked,
    error_of,
    query_of,
)


async def test_somebody_who_is_logged_in_goes_to_the_client_with_a_code(op: Provided) -> None:
    answer = await op.authorize(await op.browser())
    assert answer.headers["location"].startswith(f"{BACK}?code=")
    query = query_of(answer)
    assert (query["state"], query["iss"]) == ("af0ifjsldkj", ENDPOINT)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_query_of_a_registered_address_stays(tmp_path: Path) -> None:
    address = f"{BACK}?tenant=1"
    op = Provided(tmp_path, msgspec.structs.replace(PUBLIC, redirect_uris=(address,)))
    answer = await op.authorize(await op.browser(), redirect_uri=address)
    assert answer.headers["location"].startswith(f"{address}&code=")


async def test_nobody_goes_to_the_login_and_comes_back_with_the_same_request(op: Provided) -> None:
    answer = await op.authorize()
    assert answer.headers["location"].startswith("/login?return_to=%2Foidc%2Fauthorize%3F")
    back = query_of(answer)["return_to"]
    assert asked().items() <= dict(parse_qsl(urlsplit(back).query)).items()
    assert "code" in query_of(await op.client.get(back, headers=await op.browser()))


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "https://evil.example/callback",
        f"{BACK}/../x",
        f"{BACK}?x=1",
        f"{BACK}#x",
        "https://portal.example:443/callback",
        "https://portal.example/Callback",
        "https://portal.example.evil.example/callback",
        "https://*.example/callback",
        f"{BACK}%0d%0aSet-Cookie:%20a=b",
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(
    op: Provided, redirect_uri: str | None
) -> None:
    answer = await op.authorize(await op.browser(), redirect_uri=redirect_uri)
    assert answer.status == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize("client_id", [None, "nobody", "portal "])
async def test_nobody_is_sent_to_a_client_that_is_none(op: Provided, client_id: str | None) -> None:
    assert (await op.authorize(await op.browser(), client_id=client_id)).status == 400


@pytest.mark.parametrize(
    "address",
    [
        "https://*.example/cb",
        "https://portal.example/*",
        f"{BACK}#fragment",
        "http://portal.example/cb",
        "javascript:alert(1)",
        "https://user@portal.example/cb",
        "/relative",
        "https://portal.example\\@evil.example/",
    ],
)
@pytest.mark.parametrize("field", ["redirect_uris", "post_logout_redirect_uris"])
def test_such_an_address_cannot_be_registered(address: str, field: str) -> None:
    with pytest.raises(Refused) as caught:
        check_client(msgspec.structs.replace(PUBLIC, **{field: (address,)}))
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize("address", ["http://127.0.0.1:8080/cb", "http://localhost/cb", "http://[::1]:9/cb"])
def test_an_address_of_this_machine_can_be_registered_without_tls(address: str) -> None:
    client = ClientRecord("dev", redirect_uris=(address,))
    check_client(client)
    assert client.redirect_uris == (address,)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"scope": "nothing"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"dpop_jkt": "x"}, "invalid_request"),
    ],
)
async def test_what_is_wrong_otherwise_is_told_to_the_client(
    op: Provided, changes: dict[str, str | None], error: str
) -> None:
    query = query_of(await op.authorize(await op.browser(), **changes))
    assert (query["error"], query["state"], query["iss"]) == (error, "af0ifjsldkj", ENDPOINT)
    assert "code" not in query


async def test_a_parameter_that_comes_twice_is_refused(op: Provided) -> None:
    target = f"/oidc/authorize?client_id={PORTAL}&client_id=other"
    assert (await op.client.get(target, headers=await op.browser())).status == 400


async def test_a_state_goes_back_as_it_came_and_is_no_header(op: Provided) -> None:
    state = "a\r\nSet-Cookie: x=y&code=stolen#é"
    answer = await op.authorize(await op.browser(), state=state)
    assert "\r" not in answer.headers["location"]
    assert query_of(answer)["state"] == state


async def test_without_a_session_and_without_a_prompt_login_is_required(op: Provided) -> None:
    assert query_of(await op.authorize(prompt="none"))["error"] == "login_required"
    assert "code" in query_of(await op.authorize(await op.browser(), prompt="none"))


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
async def test_another_login_is_demanded_once(op: Provided, prompt: str) -> None:
    browser = await op.browser()
    answer = await op.authorize(browser, prompt=prompt)
    back = query_of(answer)["return_to"]
    again = await op.client.get(back, headers=browser)
    assert again.headers["location"].startswith("/login?")
    assert "code" in query_of(await op.client.get(back, headers=await op.browser()))


async def test_the_mark_of_another_request_is_worth_nothing(op: Provided) -> None:
    back = query_of(await op.authorize(await op.browser(), prompt="login"))["return_to"]
    altered = back.replace("n-0S6_WzA2Mj", "another-nonce")
    assert altered != back
    answer = await op.client.get(altered, headers=await op.browser())
    assert answer.headers["location"].startswith("/login?")


async def test_a_login_that_is_older_than_max_age_is_made_anew(op: Provided) -> None:
    browser = await op.browser()
    await op.clock.advance(61)
    assert "code" in query_of(await op.authorize(browser, max_age="100"))
    back = query_of(await op.authorize(browser, max_age="60"))["return_to"]
    assert query_of(await op.authorize(browser, max_age="60", prompt="none"))["error"] == "login_required"
    assert "code" in query_of(await op.client.get(back, headers=await op.browser()))


async def test_a_request_that_is_too_long_for_an_address_is_to_be_pushed(op: Provided) -> None:
    query = query_of(await op.authorize(state="s" * 2000))
    assert query["error"] == "invalid_request"


# -- pushed requests ---------------------------------------------------------------------------------------


async def pushed(op: Provided, **changes: str | None) -> str:
    answer = await op.post("/oidc/par", asked(**changes))
    assert answer.status == 201, answer.body
    assert answer.json()["expires_in"] == 60
    request_uri: str = answer.json()["request_uri"]
    return request_uri


def by_name(request_uri: str, client_id: str | None = PORTAL) -> dict[str, str | None]:
    names: dict[str, str | None] = dict.fromkeys(asked())
    return names | {"client_id": client_id, "request_uri": request_uri}


async def test_a_pushed_request_is_good_by_its_name_and_once(op: Provided) -> None:
    request_uri = await pushed(op)
    assert request_uri.startswith("urn:ietf:params:oauth:request_uri:")
    browser = await op.browser()
    query = query_of(await op.authorize(browser, **by_name(request_uri)))
    assert query["state"] == "af0ifjsldkj"
    assert (await op.authorize(browser, **by_name(request_uri))).status == 400


async def test_a_pushed_request_outlasts_a_login(op: Provided) -> None:
    back = query_of(await op.authorize(None, **by_name(await pushed(op))))["return_to"]
    await op.clock.advance(300)
    assert "code" in query_of(await op.client.get(back, headers=await op.browser()))


async def test_a_pushed_request_ends_and_is_of_its_client_alone(op: Provided) -> None:
    request_uri = await pushed(op)
    assert (await op.authorize(await op.browser(), **by_name(request_uri, "shop"))).status == 400
    await op.clock.advance(60)
    assert (await op.authorize(await op.browser(), **by_name(request_uri))).status == 400


async def test_a_request_is_fetched_from_nowhere(op: Provided) -> None:
    answer = await op.authorize(await op.browser(), request_uri="https://evil.example/request")
    assert query_of(answer)["error"] == "request_uri_not_supported"
    unknown = await op.authorize(await op.browser(), request_uri="urn:ietf:params:oauth:request_uri:x")
    assert unknown.status == 400
    assert op.web.requests == []


async def test_what_is_pushed_is_checked_at_once(op: Provided) -> None:
    assert error_of(await op.post("/oidc/par", asked(code_challenge_method="plain"))) == "invalid_request"
    assert (
        error_of(await op.post("/oidc/par", asked(redirect_uri="https://evil.example/"))) == "invalid_request"
    )
    assert error_of(await op.post("/oidc/par", asked(request_uri="urn:x"))) == "invalid_request"


async def test_a_confidential_client_proves_who_it_is_when_it_pushes(op: Provided) -> None:
    form = asked(client_id="backend")
    assert error_of(await op.post("/oidc/par", form)) == "invalid_client"
    stolen = op.assertion(key=OTHER_KEY)
    assert error_of(await op.post("/oidc/par", form | stolen)) == "invalid_client"
    assert (await op.post("/oidc/par", form | op.assertion())).status == 201


async def test_a_client_that_has_to_push_has_to_push(tmp_path: Path) -> None:
    client = msgspec.structs.replace(PUBLIC, require_pushed_authorization_requests=True)
    op = Provided(tmp_path, client)
    query = query_of(await op.authorize(await op.browser()))
    assert query["error"] == "invalid_request"
    assert "code" in query_of(await op.authorize(await op.browser(), **by_name(await pushed(op))))


# -- clients -----------------------------------------------------------------------------------------------


async def test_a_client_is_one_as_soon_as_the_file_has_it_and_none_when_it_has_not(op: Provided) -> None:
    tokens = await op.tokens_of()
    write_clients(op.clients_path, [msgspec.structs.replace(PUBLIC, client_id="new")])
    await op.clock.advance(2)
    assert (await op.authorize(await op.browser())).status == 400
    assert "code" in query_of(await op.authorize(await op.browser(), client_id="new"))
    assert (await op.userinfo(tokens["access_token"])).status == 401


async def test_a_file_that_is_broken_changes_nothing(op: Provided) -> None:
    for content in (b"{", b'{"clients": [{"client_id": "x", "redirect_uris": ["http://evil.example/"]}]}'):
        op.clients_path.write_bytes(content)
        await op.clock.advance(2)
        assert "code" in query_of(await op.authorize(await op.browser()))
