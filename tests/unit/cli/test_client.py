"""The commands' client: what it does when a marketplace is busy."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hansa.cli.client import PATIENCE_S, PatientReads
from tests.support.followed_league import JumpingClock
from tests.support.in_process import InProcessClient


class PatientInProcess(PatientReads, InProcessClient):
    """The client of the commands that read a lot, on an application in the same process."""


class Busy:
    """A marketplace that postpones its first requests."""

    def __init__(self, postponed: int, status: int = 503, retry_after: str | None = "2") -> None:
        self.requests = 0
        self._postponed = postponed
        self._status = status
        self._headers = {} if retry_after is None else {"Retry-After": retry_after}

    async def answer(self, request: Request) -> Response:
        self.requests += 1
        if self.requests <= self._postponed:
            return JSONResponse({"code": "unavailable"}, self._status, self._headers)
        return JSONResponse({"method": request.method})


async def ask(busy: Busy, clock: JumpingClock, method: str = "GET") -> int:
    route = Route("/", busy.answer, methods=["GET", "POST"])
    async with PatientInProcess(Starlette(routes=[route])) as client:
        client.clock = clock
        return (await client.request(method, "/")).status


@pytest.mark.parametrize("status", [429, 503])
async def test_a_read_that_is_postponed_is_repeated_after_the_pause_that_the_marketplace_requests(
    status: int,
) -> None:
    busy, clock = Busy(postponed=3, status=status), JumpingClock()
    assert await ask(busy, clock) == 200
    assert (busy.requests, clock.monotonic()) == (4, 6.0)


async def test_a_marketplace_that_stays_busy_is_reported_before_the_time_limit() -> None:
    busy, clock = Busy(postponed=1000), JumpingClock()
    assert await ask(busy, clock) == 503
    assert busy.requests > 1
    assert clock.monotonic() <= PATIENCE_S


@pytest.mark.parametrize(
    ("busy", "method"),
    [
        pytest.param(Busy(1), "POST", id="a write"),
        pytest.param(Busy(1, retry_after=None), "GET", id="an answer that requests no repetition"),
        pytest.param(Busy(1, status=404), "GET", id="an answer that is final"),
    ],
)
async def test_everything_else_is_requested_once(busy: Busy, method: str) -> None:
    await ask(busy, JumpingClock(), method)
    assert busy.requests == 1
