"""The public entities of a marketplace: `/league/v1/catalogue` page by page, in the order of identifiers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from hansa.api.catalogue import CatalogueEntry, CataloguePage
from hansa.cli.client import Client, refusal
from hansa.core.bounded_json import UNREADABLE

PATH: Final = "/league/v1/catalogue"
PAGE_SIZE: Final = 1000


async def entries(client: Client, types: Sequence[str] = ()) -> AsyncIterator[CatalogueEntry]:
    """All public entities of a marketplace, or those of some types.

    Raises:
        HansaError: when the marketplace cannot be reached, refuses, or breaks the order.
    """
    after = ""
    while True:
        parameters = [("after", after), ("limit", str(PAGE_SIZE)), *(("type", name) for name in types)]
        response = await client.request("GET", PATH, parameters=parameters)
        if response.status != 200:
            raise refusal(response, client.url)
        try:
            page = msgspec.json.decode(response.body, type=CataloguePage)
        except UNREADABLE as error:
            raise client.not_a_marketplace() from error
        for entry in page.entities:
            if entry.id <= after:
                raise client.not_a_marketplace()
            after = entry.id
            yield entry
        if page.next is None:
            return
        after = page.next
