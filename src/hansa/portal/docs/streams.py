"""The page about the streams that a marketplace sends, made from their AsyncAPI document alone."""

from __future__ import annotations

from hansa.portal.docs.pages import DOCS, Document, type_section
from hansa.portal.docs.schemas import resolved, type_name
from hansa.portal.html import Html, code, fill, join, link, prose, render, table


def streams_page(name: str, document: Document, address: str) -> bytes:
    """The channels with their messages, and the types of these; the document is at `address`."""
    info = document["info"]
    body = render(
        "streams",
        title=info["title"],
        version=info["version"],
        description=prose(info["description"]),
        description_link=link(address, "asyncapi.json"),
        channels=join((_channel(document, key) for key in document["channels"]), "\n"),
        types=join((type_section(document, one) for one in sorted(document["components"]["schemas"])), "\n"),
    )
    return DOCS.document(f"{info['title']} · {name}", body)


def _channel(document: Document, key: str) -> Html:
    channel = document["channels"][key]
    rows = [
        (
            message["title"],
            code(message["contentType"]),
            type_name(message["payload"]),
            prose(message["summary"]),
        )
        for message in (resolved(document, one) for one in channel["messages"].values())
    ]
    address = channel["address"]
    return fill(
        '<section id="$key"><h2>$title</h2><p>$address</p><p>$text</p>$messages</section>',
        key=key,
        title=channel["title"],
        address=join(("At ", code(address))) if address else "At the address of each registration.",
        text=prose(channel["description"]),
        messages=table(("Message", "Media type", "Holds", "Meaning"), rows),
    )
