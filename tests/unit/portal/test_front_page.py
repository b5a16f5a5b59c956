from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

from hansa.core.members import Member
from hansa.portal.front_page import FRONT, Overview, front_page

EVIL = "<script>alert('x')</script>\"'"


class Tags(HTMLParser):
    """What elements a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page(**changes: object) -> Overview:
    member = Member(did="did:x:1", name="riga", endpoint="https://riga.example", keys=(), power=1)
    values: dict[str, object] = {
        "name": "lubeck",
        "did": "did:x:0",
        "version": "1",
        "counts": (("ProductOffering", 3, 4),),
        "members": (member,),
        "height": 7,
        "position": 9,
    }
    return Overview(**{**values, **changes})  # type: ignore[arg-type]


def parsed(shown: Overview) -> Tags:
    tags = Tags()
    tags.feed(front_page(shown, 69).decode())
    return tags


def test_the_page_shows_who_this_is_and_what_is_here() -> None:
    found = parsed(page())
    for text in ("lubeck", "did:x:0", "ProductOffering", "riga", "height 7", "9 events"):
        assert text in found.text
    assert {"https://riga.example", "/docs"} <= set(found.links)


def test_what_others_say_is_shown_as_text() -> None:
    member = Member(did=EVIL, name=EVIL, endpoint=f"javascript:{EVIL}", keys=(), power=1)
    evil = page(name=EVIL, did=EVIL, counts=((EVIL, 0, 0),), members=(member,))
    found = parsed(evil)
    assert "script" not in found.tags
    assert all(link.startswith(("/", "#")) for link in found.links)
    assert EVIL in found.text


def test_a_silent_ledger_is_said_to_be_so() -> None:
    assert "does not answer" in parsed(page(height=None, position=None)).text


def test_the_policy_allows_the_style_sheet_and_nothing_else() -> None:
    html = front_page(page(), 69).decode()
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = FRONT.headers()["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in html
