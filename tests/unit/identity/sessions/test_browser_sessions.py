"""Sessions of browsers: begun by a login, ended by time, logout and removal, of no use to anybody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.access import ANONYMOUS, Caller
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.request_id import current_request
from hansa.identity.principal import caller_of
from hansa.identity.sessions import SessionAuthenticate, SessionCookie
from tests.support.logins import ANA, BOB, DID, LoggingIn, cookie_of, with_cookie


async def test_a_login_begins_a_session_in_a_cookie_that_no_script_and_no_other_host_gets() -> None:
    logged_in = await LoggingIn().sessions.begin(ANA, "/search", {})
    assert logged_in.location == "/search"
    (cookie,) = logged_in.cookies
    assert cookie.startswith("__Host-hansa-")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")


async def test_somebody_with_the_cookie_is_who_logged_in() -> None:
    here = LoggingIn()
    cookie = await here.login()
    assert here.subject(cookie) == ANA.subject
    assert here.subject(b"theme=dark; " + cookie + b"; lang=de") == ANA.subject


async def test_marketplaces_of_one_host_do_not_take_each_others_cookies() -> None:
    cookie = await LoggingIn().login()
    assert SessionCookie("did:example:bergen").read(cookie) is None


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", ""])
async def test_a_login_leads_nowhere_else(target: str) -> None:
    assert (await LoggingIn().sessions.begin(ANA, target, {})).location == "/"


async def test_a_session_that_somebody_planted_gains_nothing_by_a_login() -> None:
    here = LoggingIn()
    planted = await here.login(BOB)
    cookie = await here.login(ANA, planted)
    assert cookie != planted
    assert here.subject(planted) is None
    assert here.subject(cookie) == ANA.subject


@pytest.mark.parametrize("cookie", [b"", b"a", b"A" * 43, b"A" * 5000, b"\xff" * 43])
async def test_a_cookie_that_nobody_was_given_is_nobodys(cookie: bytes) -> None:
    here = LoggingIn()
    await here.login()
    assert here.subject(here.cookie.name.encode() + b"=" + cookie) is None


async def test_two_cookies_of_the_name_are_nobodys() -> None:
    here = LoggingIn()
    cookie, other = await here.login(), await here.login(BOB)
    assert here.subject(cookie + b"; " + other) is None


async def test_a_session_that_is_not_used_ends() -> None:
    here = LoggingIn(session_idle_s=100.0)
    cookie = await here.login()
    await here.clock.advance(100)
    assert here.subject(cookie) == ANA.subject
    await here.clock.advance(100)
    assert here.subject(cookie) == ANA.subject
    await here.clock.advance(101)
    assert here.subject(cookie) is None


async def test_a_session_that_is_used_ends_all_the_same() -> None:
    here = LoggingIn(session_idle_s=100.0, session_lifetime_s=150.0)
    cookie = await here.login()
    await here.clock.advance(90)
    assert here.subject(cookie) == ANA.subject
    await here.clock.advance(61)
    assert here.subject(cookie) is None


async def test_a_session_ends_with_the_credential() -> None:
    here = LoggingIn()
    expires_s = int(here.clock.now().timestamp()) + 10
    cookie = await here.login(msgspec.structs.replace(ANA, credential_expires_s=expires_s))
    await here.clock.advance(10)
    assert here.subject(cookie) == ANA.subject
    await here.clock.advance(1)
    assert here.subject(cookie) is None


async def test_logout_ends_a_session_here_and_in_the_browser() -> None:
    here = LoggingIn()
    cookie, other = await here.login(), await here.login()
    (cleared,) = await here.sessions.end({b"cookie": cookie})
    assert cleared.startswith(f"{here.cookie.name}=; ")
    assert cleared.endswith("Max-Age=0")
    assert here.subject(cookie) is None
    assert here.subject(other) == ANA.subject
    assert (await here.restarted()).subject(cookie) is None


async def test_a_logout_without_a_session_takes_no_cookie_away() -> None:
    here = LoggingIn()
    await here.login()
    assert await here.sessions.end({}) == ()


async def test_all_sessions_of_a_subject_end_at_once() -> None:
    here = LoggingIn()
    cookies, other = [await here.login(), await here.login()], await here.login(BOB)
    assert await here.sessions.end_all_of(ANA.subject) == 2
    assert [here.subject(cookie) for cookie in cookies] == [None, None]
    assert here.subject(other) == BOB.subject


async def test_sessions_and_their_ends_survive_a_restart() -> None:
    here = LoggingIn(session_idle_s=100.0)
    cookie = await here.login()
    await here.clock.advance(90)
    assert here.subject(cookie) == ANA.subject
    await here.sessions.note_use()
    later = await here.restarted()
    await here.clock.advance(90)
    session = later.sessions.of({b"cookie": cookie})
    assert session is not None
    assert session.principal == ANA


@pytest.mark.parametrize(
    ("kind", "name"),
    [("subject", ANA.subject), ("organization", ANA.organization), ("credential", ANA.credential_id)],
)
async def test_who_is_removed_is_out_at_once_and_after_a_restart(kind: Any, name: str) -> None:
    here = LoggingIn()
    cookie, other = await here.login(), await here.login(BOB)
    await here.endings.remove(kind, name)
    assert here.subject(cookie) is None
    assert here.subject(other) == BOB.subject
    with pytest.raises(Refused) as caught:
        await here.login()
    assert caught.value.code is Code.FORBIDDEN
    assert (await here.restarted()).subject(cookie) is None


async def test_who_is_let_in_again_logs_in_again() -> None:
    here = LoggingIn()
    await here.endings.remove("subject", ANA.subject)
    assert await here.endings.readmit("subject", ANA.subject)
    assert not await here.endings.readmit("subject", ANA.subject)
    assert here.subject(await here.login()) == ANA.subject
    assert not (await here.restarted()).endings.has_removed(ANA)


async def test_the_oldest_session_of_a_subject_gives_way() -> None:
    here = LoggingIn(sessions_per_subject_max=2)
    cookies = [await here.login() for _ in range(3)]
    assert [here.subject(cookie) for cookie in cookies] == [None, ANA.subject, ANA.subject]


async def test_a_crowd_locks_nobody_out_who_is_logged_in() -> None:
    here = LoggingIn(sessions_max=1)
    cookie = await here.login()
    with pytest.raises(Unavailable) as caught:
        await here.login(BOB)
    assert caught.value.code is Code.OVERLOADED
    assert here.subject(cookie) == ANA.subject
    assert here.subject(await here.login(ANA, cookie)) == ANA.subject


async def test_sessions_that_are_over_make_room() -> None:
    here = LoggingIn(sessions_max=1, session_idle_s=10.0)
    await here.login()
    await here.clock.advance(11)
    assert here.subject(await here.login(BOB)) == BOB.subject
    assert here.sessions.count == 1


async def test_the_store_has_nothing_that_a_browser_could_show() -> None:
    here = LoggingIn()
    cookie = await here.login()
    identifier = cookie.partition(b"=")[2]
    rows = await here.store.sql.fetch("SELECT name, subject, principal FROM browser_session")
    assert len(rows) == 1
    assert identifier not in b" ".join(str(value).encode() for value in rows[0])


# -- forms -------------------------------------------------------------------------------------------------


FROM_HERE = {"sec_fetch_site": "same-origin", "origin": "https://market.example", "host": "market.example"}


async def form(here: LoggingIn, token: str | None = None, **headers: str) -> None:
    cookie = await here.login()
    session = here.sessions.of({b"cookie": cookie})
    assert session is not None
    token = here.sessions.form_token(session) if token is None else token
    here.sessions.check_form(session, with_cookie(cookie, **headers), token)


@pytest.mark.parametrize(
    "headers",
    [
        FROM_HERE,
        FROM_HERE | {"origin": "null"},
        {},
        {"origin": "http://localhost:8101", "host": "localhost:8101"},
    ],
    ids=["browser", "without-referrer", "script", "other-name"],
)
async def test_a_form_of_the_session_is_accepted(headers: Mapping[str, str]) -> None:
    await form(LoggingIn(), **headers)


@pytest.mark.parametrize(
    "headers",
    [
        FROM_HERE | {"sec_fetch_site": "cross-site"},
        FROM_HERE | {"sec_fetch_site": "none", "origin": "null"},
        FROM_HERE | {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example", "host": "market.example"},
        {"origin": "https://market.example:8443"},
        {"origin": "https://market.example.evil.example"},
        {"origin": "null"},
    ],
    ids=["cross-site", "opaque", "same-site", "origin", "port", "suffix", "null"],
)
async def test_a_form_from_elsewhere_is_refused(headers: Mapping[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        await form(LoggingIn(), **headers)
    assert caught.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "ä", "\ud800"], ids=["none", "short", "long", "a", "b"])
async def test_a_form_without_the_sessions_token_is_refused(token: str) -> None:
    with pytest.raises(Refused) as caught:
        await form(LoggingIn(), token, **FROM_HERE)
    assert caught.value.code is Code.FORBIDDEN


async def test_the_token_of_another_session_is_refused() -> None:
    here = LoggingIn()
    other = here.sessions.of({b"cookie": await here.login(BOB)})
    assert other is not None
    with pytest.raises(Refused):
        await form(here, here.sessions.form_token(other), **FROM_HERE)


# -- callers -----------------------------------------------------------------------------------------------


class _Tokens:
    """Knows one token."""

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        assert headers[b"authorization"] == b"Bearer x"
        return Caller(subject="script")

    claimed = __call__


def calling(here: LoggingIn, method: str, headers: Mapping[bytes, bytes]) -> Caller:
    token = current_request.set({"method": method, "headers": []})
    try:
        return SessionAuthenticate(_Tokens(), here.sessions)(headers)
    finally:
        current_request.reset(token)


async def test_a_session_reads_as_its_principal() -> None:
    here = LoggingIn()
    caller = calling(here, "GET", {b"cookie": await here.login()})
    assert caller == caller_of(ANA)
    assert caller.organization == ANA.organization
    assert caller.powers[0].function == "ProductOffering"


async def test_a_token_counts_before_a_session() -> None:
    here = LoggingIn()
    headers = {b"cookie": await here.login(), b"authorization": b"Bearer x"}
    assert calling(here, "GET", headers).subject == "script"


async def test_without_a_session_nobody_calls() -> None:
    assert calling(LoggingIn(), "GET", {b"cookie": b"a=b"}) == ANONYMOUS


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_a_session_writes_with_the_token_of_a_form_alone(method: str) -> None:
    here = LoggingIn()
    cookie = await here.login()
    session = here.sessions.of({b"cookie": cookie})
    assert session is not None
    with pytest.raises(Refused) as caught:
        calling(here, method, {b"cookie": cookie})
    assert caught.value.code is Code.FORBIDDEN
    token = here.sessions.form_token(session)
    assert calling(here, method, with_cookie(cookie, x_csrf_token=token)).subject == ANA.subject


@given(st.lists(st.sampled_from(["login", "other", "logout", "wait", "restart"]), max_size=12))
async def test_only_the_newest_cookie_of_a_browser_is_somebodys(steps: list[str]) -> None:
    here, cookies, present = LoggingIn(session_idle_s=100.0), [b""], b""
    for step in steps:
        if step in {"login", "other"}:
            present = cookie_of(
                await here.sessions.begin(ANA if step == "login" else BOB, "/", {b"cookie": present})
            )
            cookies.append(present)
        elif step == "logout":
            await here.sessions.end({b"cookie": present})
        elif step == "wait":
            await here.clock.advance(101)
        else:
            await here.sessions.note_use()
            here = await here.restarted()
        assert all(here.subject(cookie) is None for cookie in cookies if cookie != present)


def test_a_cookies_name_follows_from_the_marketplace() -> None:
    assert SessionCookie(DID).name == SessionCookie(DID).name != SessionCookie("did:example:x").name
