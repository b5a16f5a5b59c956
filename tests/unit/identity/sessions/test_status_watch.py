"""Sessions of credentials that are revoked, suspended or unknown after the login."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hansa.core.errors import Code, HansaError, Unavailable
from hansa.identity.credentials.refusals import CredentialRefused
from hansa.identity.credentials.status.references import HeldStatus, StatusReference
from hansa.identity.sessions import StatusWatch
from hansa.identity.sessions.status_watch import CHECKED_EVERY_S, UNKNOWN_MAX_S
from tests.support.logins import ANA, BOB, LoggingIn


def status(index: int) -> HeldStatus:
    reference = StatusReference("token", "https://issuer.example/status", index)
    return HeldStatus("did:example:issuer", (reference,))


ANA_WITH_STATUS = msgspec.structs.replace(ANA, credential_status=status(1))
BOB_WITH_STATUS = msgspec.structs.replace(BOB, credential_status=status(2))


class Watched(LoggingIn):
    """Sessions whose credentials are looked at, by what the test says of them."""

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[HeldStatus, HansaError] = {}
        self.looked_at: list[HeldStatus] = []
        self.has_looked = asyncio.Event()
        self.watch = StatusWatch(self.sessions, self._check, self.clock)

    async def _check(self, held: HeldStatus) -> None:
        self.looked_at.append(held)
        self.has_looked.set()
        if held in self.refusals:
            raise self.refusals[held]


@pytest.fixture
def here() -> Watched:
    return Watched()


@pytest.mark.parametrize("code", [Code.CREDENTIAL_REVOKED, Code.CREDENTIAL_SUSPENDED])
async def test_a_session_ends_when_its_credential_is_revoked_or_suspended(here: Watched, code: Code) -> None:
    ana, bob = await here.login(ANA_WITH_STATUS), await here.login(BOB_WITH_STATUS)
    here.refusals[status(1)] = CredentialRefused(code, ())
    await here.watch.look()
    assert (here.subject(ana), here.subject(bob)) == (None, BOB.subject)
    assert (await here.restarted()).subject(ana) is None


async def test_all_browsers_of_a_credential_are_logged_out_by_one_look(here: Watched) -> None:
    cookies = [await here.login(ANA_WITH_STATUS) for _ in range(3)]
    here.refusals[status(1)] = CredentialRefused(Code.CREDENTIAL_REVOKED, ())
    await here.watch.look()
    assert here.looked_at == [status(1)]
    assert {here.subject(cookie) for cookie in cookies} == {None}


UNKNOWN = (
    CredentialRefused(Code.CREDENTIAL_STATUS_UNKNOWN, ()),  # the issuer is away
    Unavailable(Code.OVERLOADED, "The registry of trusted issuers is busy.", retry_after_s=1.0),
)


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_what_is_unknown_for_a_moment_logs_nobody_out(here: Watched, unknown: HansaError) -> None:
    cookie = await here.login(ANA_WITH_STATUS)
    here.refusals[status(1)] = unknown
    await here.watch.look()
    await here.clock.advance(UNKNOWN_MAX_S - 1)
    await here.watch.look()
    assert here.subject(cookie) == ANA.subject


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_what_stays_unknown_does(here: Watched, unknown: HansaError) -> None:
    cookie = await here.login(ANA_WITH_STATUS)
    here.refusals[status(1)] = unknown
    await here.watch.look()
    await here.clock.advance(UNKNOWN_MAX_S)
    await here.watch.look()
    assert here.subject(cookie) is None


async def test_the_time_of_grace_begins_anew_when_the_issuer_was_there_meanwhile(here: Watched) -> None:
    cookie = await here.login(ANA_WITH_STATUS)
    for _ in range(3):
        here.refusals[status(1)] = CredentialRefused(Code.CREDENTIAL_STATUS_UNKNOWN, ())
        await here.watch.look()
        await here.clock.advance(UNKNOWN_MAX_S - 1)
        here.refusals.clear()
        await here.watch.look()
    assert here.subject(cookie) == ANA.subject


async def test_a_session_without_a_status_is_left_alone(here: Watched) -> None:
    cookie = await here.login(ANA)
    await here.watch.look()
    assert (here.looked_at, here.subject(cookie)) == ([], ANA.subject)


async def test_it_looks_a_minute_later(here: Watched) -> None:
    await here.login(ANA_WITH_STATUS)
    looking = asyncio.create_task(here.watch.run())
    await asyncio.sleep(0)
    await here.clock.advance(CHECKED_EVERY_S - 1)
    assert here.looked_at == []
    await here.clock.advance(1)
    async with asyncio.timeout(60):
        await here.has_looked.wait()
    looking.cancel()
