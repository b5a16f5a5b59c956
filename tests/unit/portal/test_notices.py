"""Pages that say something, and may be answered."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hansa.node.http.application import rest_application
from hansa.portal import Branding, Frame, NoticeButton, NoticePage, notice_page
from tests.support.asgi import AsgiClient


async def buttons_of(page: NoticePage) -> list[str]:
    """The buttons of a page, each as it is written."""

    async def shown(request: Request) -> Response:
        return notice_page(Frame(Branding("lubeck")), request, page)

    client = AsgiClient(rest_application([Route("/", shown)]), {"accept": "text/html"})
    content = (await client.get("/")).body.decode().partition('class="notice')[2].partition("</div>")[0]
    return re.findall(r"<button[^>]*>[^<]*</button>", content)


async def test_a_page_with_fields_has_its_title_on_its_button_or_the_buttons_that_it_names() -> None:
    page = NoticePage("Issue it", ("A sentence.",), 200, (("csrf", "x"),))
    assert await buttons_of(page) == ['<button type="submit">Issue it</button>']
    both = (NoticeButton("decision", "a", "Yes"), NoticeButton("decision", "b", "<No>"))
    assert await buttons_of(NoticePage("Issue it", (), 200, (("csrf", "x"),), both)) == [
        '<button type="submit" name="decision" value="a">Yes</button>',
        '<button type="submit" name="decision" value="b">&lt;No&gt;</button>',
    ]
    assert await buttons_of(NoticePage("Issue it", (), 200, (), both)) == []
