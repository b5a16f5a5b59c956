"""One browser and one marketplace for all tests in a browser.

The marketplace is in this process: its pages with the sample data of a league, on a store in memory, served
on the loopback address by a thread of its own. The browser is the system's `chromium`; without it these
tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from gettext import NullTranslations
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hansa.portal.frame.languages import catalogues
from tests.support.editing_pages import add_drafts
from tests.support.hostile_entities import HOSTILE, hostile_offering
from tests.support.pages_for_some import pages_for_some
from tests.support.people import PEOPLE
from tests.support.served_site import ServedSite
from tests.support.site import Site, open_site

PSEUDO = "eo"
"""A language that is not offered: its texts are a third longer and have other letters."""
LONGER = str.maketrans("aeiounAEIOU", "áéíóúñÁÉÍÓÚ")


class PseudoTranslations(NullTranslations):
    """Texts as a long foreign language might have them; markup and values stay."""

    def gettext(self, message: str) -> str:
        parts = message.replace("%%", "\0").split("%(")
        shown = [_foreign(parts[0])]
        for part in parts[1:]:
            name, _, rest = part.partition(")s")
            shown.append(f"%({name})s{_foreign(rest)}")
        return f"[{''.join(shown)}{'~' * (len(message) // 3)}]".replace("\0", "%%")

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _foreign(text: str) -> str:
    return text if "<" in text else text.translate(LONGER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests, open the loopback address for them, and skip them where there is no browser."""
    here = Path(__file__).parent
    missing = pytest.mark.skip(reason="chromium is not installed: apt-get install chromium")
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.enable_socket)
        if shutil.which("chromium") is None:
            item.add_marker(missing)


RARE = {
    "@type": "ServiceCandidate",
    "id": "urn:ngsi-ld:service-candidate:night",
    "name": "Watching at night " + "donaudampfschifffahrt" * 4,
    "description": "Somebody watches **all** night.",
    "lifecycleStatus": "Active",
    "validFor": {"startDateTime": "2026-11-01T00:00:00Z", "endDateTime": "2027-11-01T00:00:00Z"},
    "serviceSpecification": {"id": "urn:ngsi-ld:service-specification:night", "name": "Night watch"},
    "relatedParty": [
        {"id": "urn:ngsi-ld:organization:1", "name": "Holstenwerk", "role": "Seller"},
        {"id": "urn:ngsi-ld:organization:2", "name": "\u202eBruges", "role": "Owner"},
    ],
    "price": {"unit": "EUR", "value": 12.5},
    "levels": [{"name": "Quick", "minutes": 5, "pages": ["https://market.example/quick", "a" * 300]}],
}
"""An entity whose type has no page of its own."""


class SampleSite(ServedSite):
    """A marketplace that answers at an address, with the sample data of a league or with hostile entities."""

    def __init__(self, *, is_hostile: bool = False) -> None:
        super().__init__()
        self._is_hostile = is_hostile

    async def run(self) -> None:
        languages = {**catalogues(), PSEUDO: PseudoTranslations}
        site: Site = await open_site(languages, PEOPLE, with_sample=not self._is_hostile, more=pages_for_some)
        await add_drafts(site.business)
        if self._is_hostile:
            for number, text in enumerate(HOSTILE):
                for entity in hostile_offering(number, text):
                    await site.add(entity)
        await site.add(RARE)
        await self.serve(site.application())
        await site.business.store.close()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the marketplace answers."""
    with SampleSite() as served:
        yield served.address


@pytest.fixture(scope="session")
def hostile_address() -> Iterator[str]:
    """Where a marketplace answers whose entities are hostile."""
    with SampleSite(is_hostile=True) as served:
        yield served.address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser reported as errors: of scripts, of the security policy, of what it could not load."""
    return []


@pytest.fixture
def page(browser: Browser, address: str, complaints: list[str]) -> Iterator[Page]:
    """A page in a context of its own; `complaints` must be empty at the end."""
    context = browser.new_context(**context_options(address))
    yield listened_to(context.new_page(), complaints)
    context.close()
    assert complaints == []


def context_options(address: str) -> dict[str, Any]:
    """Of the context of somebody who is at a marketplace."""
    return {"base_url": address, "locale": "en-GB", "reduced_motion": "reduce"}


def listened_to(page: Page, complaints: list[str]) -> Page:
    """A page whose errors are written down."""
    page.set_default_timeout(60_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page
