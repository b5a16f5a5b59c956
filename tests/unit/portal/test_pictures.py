"""Pictures of offerings: from members and from the store alone, small, and without anything but pixels."""

from __future__ import annotations

import asyncio
import base64
import socket
from io import BytesIO

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from PIL import Image, PngImagePlugin

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.web_addresses import web_address
from hansa.node.allowed_origins import MemberOrigins
from hansa.node.outbound import OutboundClient
from hansa.portal.catalogue.fields import Fields
from hansa.portal.catalogue.pictures import PictureUnusable, encoding
from hansa.portal.catalogue.pictures.encoding import encoded
from hansa.portal.catalogue.pictures.loading import Pictures
from tests.support.asgi import AsgiClient
from tests.support.site import open_site

MEMBER = "https://riga.example"


def png(width: int = 8, height: int = 8, **text: str) -> bytes:
    """A picture, with texts in it."""
    info = PngImagePlugin.PngInfo()
    for name, value in text.items():
        info.add_text(name, value)
    content = BytesIO()
    Image.new("RGB", (width, height), "red").save(content, "PNG", pnginfo=info)
    return content.getvalue()


def offering(url: str = f"{MEMBER}/logo.png", media_type: str = "image/png", content: bytes = b"") -> Fields:
    attachment = {"name": "Logo", "mimeType": media_type, "url": url}
    return {"attachment": [{**attachment, "content": base64.b64encode(content).decode()}]}


class Members:
    """Answers with a picture, and notes what is requested."""

    def __init__(self, body: bytes = png(), status: int = 200) -> None:
        self.requests: list[HttpRequest] = []
        self._answer = HttpResponse(status, {}, body)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        return self._answer


class PrivateResolver(AbstractResolver):
    """Leads every name to an address of the own network."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.names.append(host)
        return [ResolveResult(hostname=host, host="10.0.0.1", port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


async def is_member(origin: str) -> bool:
    return origin == web_address(MEMBER).origin


def pictures(http: Members | OutboundClient | None = None, clock: ManualClock | None = None) -> Pictures:
    return Pictures(http or Members(), is_member, clock or ManualClock())


# -- what is decoded ---------------------------------------------------------------------------------------------


def test_nothing_but_pixels_gets_through() -> None:
    made = encoded(png(Comment="<script>alert(1)</script> secret-place"))
    assert b"secret-place" not in made
    with Image.open(BytesIO(made)) as shown:
        assert (shown.format, shown.size) == ("WEBP", (8, 8))
        assert "exif" not in shown.info
        assert "icc_profile" not in shown.info


def test_a_large_picture_becomes_a_small_one() -> None:
    with Image.open(BytesIO(encoded(png(2000, 100)))) as shown:
        assert shown.size == (960, 48)


def test_a_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "PIXELS_MAX", 99)
    with pytest.raises(PictureUnusable):
        encoded(png(10, 10))
    declared = png()[:16] + (60_000).to_bytes(4) + (60_000).to_bytes(4) + png()[24:]
    with pytest.raises(PictureUnusable):
        encoded(declared)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        b"<html>",
        png()[:50],
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 100,
        b"GIF89a" + b"\x00" * 20,
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_what_is_no_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(PictureUnusable):
        encoded(raw)


# -- from where --------------------------------------------------------------------------------------------------


async def test_a_picture_of_a_member_is_shown_loaded_once_and_again_after_an_hour() -> None:
    members, clock = Members(), ManualClock()
    loads = pictures(members, clock)
    (shown,) = await loads.shown("urn:1", offering())
    assert (shown.path, shown.text) == ("/offerings/urn:1/pictures/0", "Logo")
    first = await loads.picture(offering(), 0)
    assert await loads.picture(offering(), 0) == first
    assert len(members.requests) == 1
    assert members.requests[0].answer_size_max_bytes == 2 * 1024 * 1024
    await clock.advance(3601)
    await loads.picture(offering(), 0)
    assert len(members.requests) == 2


@pytest.mark.parametrize(
    "fields",
    [
        offering("https://elsewhere.example/logo.png"),
        offering("http://riga.example/logo.png"),
        offering("https://riga.example:8443/logo.png"),
        offering("https://riga.example@elsewhere.example/logo.png"),
        offering("http://127.0.0.1/logo.png"),
        offering("http://[::1]/logo.png"),
        offering("file:///etc/passwd"),
        offering("data:image/png;base64,AAAA"),
        offering("//riga.example/logo.png"),
        offering(""),
        offering(media_type="image/svg+xml"),
        offering(media_type="text/html"),
        {"attachment": "none"},
        {},
    ],
)
async def test_nothing_is_requested_of_anybody_else(fields: Fields) -> None:
    members = Members()
    loads = pictures(members)
    assert await loads.shown("urn:1", fields) == ()
    with pytest.raises(Refused) as refusal:
        await loads.picture(fields, 0)
    assert refusal.value.code is Code.NOT_FOUND
    assert members.requests == []


async def test_a_member_whose_name_leads_into_the_own_network_is_not_reached() -> None:
    """The client looks at the address that it connects to, whatever the name is."""
    origins = MemberOrigins(tuple, (MEMBER,))
    resolver = PrivateResolver()
    client = OutboundClient(origins.has_origin, allow_private_networks=False, resolver=resolver)
    loads = Pictures(client, origins.has_origin, ManualClock())
    with pytest.raises(Refused) as refusal:
        await loads.picture(offering(), 0)
    assert (refusal.value.code, resolver.names) == (Code.NOT_FOUND, ["riga.example"])
    await client.close()


async def test_a_picture_in_the_store_is_shown_without_a_request() -> None:
    members = Members()
    made = await pictures(members).picture(offering("", content=png()), 0)
    assert made.startswith(b"RIFF")
    assert members.requests == []


async def test_a_failure_is_remembered_for_a_minute() -> None:
    members, clock = Members(b"no picture"), ManualClock()
    loads = pictures(members, clock)
    for _ in range(3):
        with pytest.raises(Refused):
            await loads.picture(offering(), 0)
    assert len(members.requests) == 1
    await clock.advance(61)
    with pytest.raises(Refused):
        await loads.picture(offering(), 0)
    assert len(members.requests) == 2


async def test_a_flood_waits_within_bounds() -> None:
    class Silent(Members):
        async def send(self, request: HttpRequest) -> HttpResponse:
            self.requests.append(request)
            await asyncio.Event().wait()
            raise AssertionError

    silent = Silent()
    loads = pictures(silent)
    async with asyncio.TaskGroup() as group:
        waiting = [
            group.create_task(loads.picture(offering(f"{MEMBER}/{number}.png"), 0)) for number in range(32)
        ]
        for _ in range(3):
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await loads.picture(offering(f"{MEMBER}/one-more.png"), 0)
        assert len(silent.requests) == 2
        for one in waiting:
            one.cancel()


# -- on a page ---------------------------------------------------------------------------------------------------


async def test_a_page_shows_pictures_from_this_server_and_links_what_is_elsewhere() -> None:
    site = await open_site(with_sample=False)
    here = {"name": "Rack", "mimeType": "image/png", "content": base64.b64encode(png()).decode()}
    there = {"name": "Far", "mimeType": "image/png", "url": "https://elsewhere.example/far.png"}
    await site.add({"@type": "ProductOffering", "id": "o1", "name": "Rack", "attachment": [here, there]})
    client = AsgiClient(site.application())
    page = await client.get("/offerings/o1", headers={"accept": "text/html"})
    assert page.body.count(b"<img") == 1
    assert b'src="/offerings/o1/pictures/0"' in page.body
    assert b'href="https://elsewhere.example/far.png"' in page.body
    picture = await client.get("/offerings/o1/pictures/0")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/webp")
    assert picture.headers["content-security-policy"] == "default-src 'none'"
    assert picture.headers["x-content-type-options"] == "nosniff"
    for number in ("1", "2", "-1", "x", "9" * 5000, "%D9%A1"):
        assert (await client.get(f"/offerings/o1/pictures/{number}")).status == 404
    assert (await client.get("/offerings/none/pictures/0")).status == 404
    await site.business.store.close()
