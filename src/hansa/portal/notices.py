"""Pages that say something in a few sentences, and may ask for a confirmation."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.portal.frame import Frame
from hansa.portal.frame.frame import PagePolicy


class NoticeButton(msgspec.Struct, frozen=True):
    """One of several that answer a page."""

    name: str
    value: str
    label: str


class NoticePage(msgspec.Struct, frozen=True):
    """For the template `notice.html`."""

    title: str
    sentences: tuple[str, ...]
    status: int
    fields: tuple[tuple[str, str], ...] = ()
    """Names and values that the browser sends back to the same path to confirm; none: there is no form."""
    buttons: tuple[NoticeButton, ...] = ()
    """With which the form is sent; none: one, with the title on it."""


def notice_page(
    frame: Frame, request: Request, page: NoticePage, form_targets: tuple[str, ...] = ()
) -> Response:
    """Such a page.

    Args:
        frame: Of all pages.
        request: That is answered.
        page: What it says.
        form_targets: Origins to which the browser may be sent on after its confirmation.
    """
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
    policy = PagePolicy(form_targets)
    return frame.response(request, "notice.html", page, status=page.status, headers=headers, policy=policy)
