"""The frame of every page: one document, whose policy names its style and its script by their hashes.

A page loads nothing but its icon, which is here, and cannot be framed.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import msgspec
from starlette.responses import Response

from hansa.portal.html import Html, render, static

STYLE: Final = f"\n{static('page.css')}\n"


class HtmlPage(msgspec.Struct, frozen=True):
    """What one kind of page has beyond the frame."""

    style: str = ""
    """Beyond that of every page."""
    script: str = ""

    def document(self, title: str, body: Html) -> bytes:
        """The whole document."""
        script = Html(f"<script>{self.script}</script>\n" if self.script else "")
        style = Html(STYLE + self.style)
        return f"{render('frame', title=title, style=style, body=body, script=script)}\n".encode()

    def headers(self) -> dict[str, str]:
        """Headers of the page, beside those that the server gives every response.

        A script may send requests to this marketplace, and nowhere else.
        """
        allowed = f"script-src {_source(self.script)}; connect-src 'self'; " if self.script else ""
        return {
            "Content-Security-Policy": f"default-src 'none'; style-src {_source(STYLE + self.style)}; {allowed}"
            "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    def response(self, document: bytes) -> Response:
        """The response that shows a document of this kind."""
        return Response(document, media_type="text/html", headers=self.headers())


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
