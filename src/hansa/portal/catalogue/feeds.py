"""What is new, for feed readers (Atom, RFC 4287), and everything, for search engines (sitemaps.org)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from hansa.portal.frame.formats import moment_of

ATOM: Final = "http://www.w3.org/2005/Atom"
SITEMAP: Final = "http://www.sitemaps.org/schemas/sitemap/0.9"
ATOM_MEDIA_TYPE: Final = "application/atom+xml"
XML_MEDIA_TYPE: Final = "application/xml"
UNKNOWN_TIME: Final = "1970-01-01T00:00:00Z"
SITEMAP_MAX: Final = 1000
"""Offerings in the sitemap."""


class FeedEntry(msgspec.Struct, frozen=True):
    """One offering."""

    id: str
    title: str
    address: str
    updated: str
    """As the entity says it."""
    summary: str
    author: str


def atom_feed(title: str, address: str, entries: Iterable[FeedEntry]) -> bytes:
    """An Atom feed; the newest entry first. `address` is of the marketplace, without a trailing slash."""
    shown = tuple(entries)
    feed = Element("feed", xmlns=ATOM)
    SubElement(feed, "id").text = f"{address}/feed.atom"
    SubElement(feed, "title").text = _xml_text(title)
    SubElement(feed, "updated").text = _time_text(shown[0].updated) if shown else UNKNOWN_TIME
    SubElement(feed, "link", rel="self", href=f"{address}/feed.atom")
    SubElement(feed, "link", rel="alternate", type="text/html", href=f"{address}/")
    for one in shown:
        entry = SubElement(feed, "entry")
        SubElement(entry, "id").text = one.address
        SubElement(entry, "title").text = _xml_text(one.title)
        SubElement(entry, "updated").text = _time_text(one.updated)
        SubElement(entry, "link", rel="alternate", type="text/html", href=one.address)
        SubElement(SubElement(entry, "author"), "name").text = _xml_text(one.author)
        SubElement(entry, "summary").text = _xml_text(one.summary)
    return _document(feed)


def sitemap(addresses: Iterable[str]) -> bytes:
    """A sitemap of some pages."""
    urls = Element("urlset", xmlns=SITEMAP)
    for address in addresses:
        SubElement(SubElement(urls, "url"), "loc").text = address
    return _document(urls)


def _document(root: Element) -> bytes:
    content: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + content


def _time_text(text: str) -> str:
    """A time as Atom has it; of what is none, one that is known not to be."""
    when = moment_of(text)
    return UNKNOWN_TIME if when is None else when.isoformat()


def _xml_text(text: str) -> str:
    """A text without the characters that XML cannot have."""
    return "".join(
        one
        for one in text
        if one in "\t\n\r" or (one >= " " and not "\ud800" <= one <= "\udfff" and one not in "\ufffe\uffff")
    )
