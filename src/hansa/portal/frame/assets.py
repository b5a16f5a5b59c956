"""Files that pages load: style, script and pictures, at addresses that change with their content.

So a browser stores each for a year and never shows an old one.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.errors import Code, Refused
from hansa.portal.frame.branding import Branding

ASSETS_PATH: Final = "/static/{name}"
MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of a file: opened by itself, as a picture may be, it can do nothing."""


class Asset(msgspec.Struct, frozen=True):
    """One file."""

    content: bytes
    media_type: str


class Assets:
    """All of them, with the operator's colours in the stylesheet."""

    def __init__(self, branding: Branding) -> None:
        self._served: dict[str, Asset] = {}
        self._addresses: dict[str, str] = {}
        for file in files("hansa.portal").joinpath("static").iterdir():
            stem, _, ending = file.name.rpartition(".")
            content = file.read_bytes()
            if file.name == "portal.css":
                content += branding.style().encode()
            self._add(stem, ending, content)
        if branding.logo is not None:
            ending = next(end for end, media in MEDIA_TYPES.items() if media == branding.logo.media_type)
            self._add("logo", ending, branding.logo.content)

    def _add(self, stem: str, ending: str, content: bytes) -> None:
        name = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{ending}"
        self._served[name] = Asset(content, MEDIA_TYPES[ending])
        self._addresses[f"{stem}.{ending}"] = f"/static/{name}"

    def address(self, name: str) -> str:
        """Where a file is, by its name in `static/`."""
        return self._addresses[name]

    def logo(self) -> str | None:
        """Where the operator's logo is; None without one."""
        return self._addresses.get("logo.svg") or self._addresses.get("logo.png")

    async def serve(self, request: Request) -> Response:
        """`GET /static/{name}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        asset = self._served.get(request.path_params["name"])
        if asset is None:
            raise Refused(Code.NOT_FOUND, "There is no file of this name: pages name those that there are.")
        return Response(asset.content, headers={**HEADERS, "Content-Type": asset.media_type})

    async def icon(self, _: Request) -> Response:
        """`GET /favicon.ico`, which browsers request by themselves."""
        name = self._addresses["favicon.svg"].rpartition("/")[2]
        asset = self._served[name]
        # Its address does not change with its content, so it is revalidated, as the server says of all else.
        headers = {name: value for name, value in HEADERS.items() if name != "Cache-Control"}
        return Response(asset.content, headers=headers, media_type=asset.media_type)
