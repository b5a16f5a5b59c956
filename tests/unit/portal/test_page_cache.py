"""Pages that strangers request at the same time are made once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.core.access import ANONYMOUS
from hansa.core.clock import ManualClock
from hansa.portal.catalogue.page_cache import AGE_MAX_S, PageCache
from hansa.portal.frame import Branding, Frame
from tests.support.asgi import AsgiClient


class Pages:
    """A page that takes a while, and a store that may change meanwhile."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.version = 1
        self.made = 0
        self.status = 200
        self.may_end = asyncio.Event()
        cache = PageCache(Frame(Branding("lubeck")), lambda _: ANONYMOUS, self._version, self.clock)
        self.client = AsgiClient(Starlette(routes=[Route("/", cache.handler(self._make))]))

    async def _version(self) -> int:
        return self.version

    async def _make(self, request: Request) -> Response:
        del request
        self.made += 1
        body = f"page {self.made}"
        await self.may_end.wait()
        return Response(body, self.status)

    async def begin(self) -> asyncio.Task[str]:
        """A request that has got as far as it can."""
        task = asyncio.create_task(self._get())
        for _ in range(20):
            await asyncio.sleep(0)
        return task

    async def _get(self) -> str:
        return (await self.client.get("/")).body.decode()


async def test_those_who_request_it_meanwhile_wait_for_the_one_that_is_made() -> None:
    pages = Pages()
    tasks = [await pages.begin() for _ in range(5)]
    pages.may_end.set()
    assert await asyncio.gather(*tasks) == ["page 1"] * 5


async def test_nobody_gets_a_page_that_was_begun_before_a_change() -> None:
    pages = Pages()
    before = await pages.begin()
    pages.version = 2
    after = await pages.begin()
    pages.may_end.set()
    assert (await before, await after) == ("page 1", "page 2")


async def test_when_the_one_it_is_made_for_leaves_the_next_makes_it() -> None:
    pages = Pages()
    leaver, other, third = [await pages.begin() for _ in range(3)]
    leaver.cancel()
    await asyncio.wait({leaver})
    pages.may_end.set()
    assert (await other, await third) == ("page 2", "page 2")


@pytest.mark.parametrize("status", [404, 500])
async def test_what_is_no_page_is_made_for_each(status: int) -> None:
    pages = Pages()
    pages.status = status
    tasks = [await pages.begin() for _ in range(3)]
    pages.may_end.set()
    assert await asyncio.gather(*tasks) == ["page 1", "page 2", "page 3"]


async def test_a_page_is_made_anew_when_its_time_is_over() -> None:
    pages = Pages()
    pages.may_end.set()
    first = await (await pages.begin())
    await pages.clock.advance(AGE_MAX_S + 0.1)
    assert (first, await (await pages.begin())) == ("page 1", "page 2")
