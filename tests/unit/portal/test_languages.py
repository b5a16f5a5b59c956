"""Languages are read beside the event loop, each once."""

from __future__ import annotations

import asyncio
import threading
from gettext import NullTranslations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hansa.node.http.application import rest_application
from hansa.portal import Branding, Frame
from hansa.portal.catalogue.categories import CategoriesPage
from hansa.portal.frame.frame import PreparedPages
from tests.support.asgi import AsgiClient


class Languages:
    """Two languages, and the threads in which they were read."""

    def __init__(self) -> None:
        self.read_in: list[threading.Thread] = []
        self.all = {"en": self._read, "de": self._read}

    def _read(self) -> NullTranslations:
        self.read_in.append(threading.current_thread())
        return NullTranslations()


async def page(_: Request) -> Response:
    return PlainTextResponse("a page")


def client(languages: Languages) -> AsgiClient:
    application = rest_application([Route("/", page)])
    application.add_middleware(PreparedPages, frame=Frame(Branding("lubeck"), languages.all))
    return AsgiClient(application)


async def test_a_language_is_read_in_a_thread_before_the_first_page_in_it() -> None:
    languages = Languages()
    assert (await client(languages).get("/", headers={"accept-language": "de"})).status == 200
    assert threading.main_thread() not in languages.read_in


async def test_a_language_is_read_once_for_all_who_request_it_together() -> None:
    languages = Languages()
    many = client(languages)
    await asyncio.gather(*(many.get("/", headers={"accept-language": "de"}) for _ in range(10)))
    assert len(languages.read_in) == 1


async def test_a_client_that_wants_json_waits_for_no_language() -> None:
    languages = Languages()
    assert (await client(languages).get("/", headers={"accept": "application/json"})).status == 200
    assert languages.read_in == []


async def test_after_warming_a_page_waits_for_no_language_and_no_thread() -> None:
    languages = Languages()
    frame = Frame(Branding("lubeck"), languages.all)
    pauses: list[None] = []

    async def pause() -> None:
        pauses.append(None)

    async def shown(request: Request) -> Response:
        return frame.response(request, "categories.html", CategoriesPage((), total=0, is_cut=False))

    await frame.warm(pause)
    application = rest_application([Route("/", shown)])
    application.add_middleware(PreparedPages, frame=frame)
    assert (await AsgiClient(application).get("/", headers={"accept-language": "de"})).status == 200
    assert (len(languages.read_in), frame.large_work.in_threads) == (2, 0)
    assert len(pauses) > len(languages.all)
