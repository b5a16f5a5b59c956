"""What people do with buttons of pages is in the audit log before it is done."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.node.parts.pages.acts import StoredActs
from hansa.portal.frame.acts import Act, carry_out
from hansa.store import Store
from hansa.store.tables import audit
from tests.support.business import open_business

OTTO = Caller("urn:hansa:subject:otto")
REMOVAL = Act("organization-remove", "VATES-12345678")


async def records(store: Store) -> list[dict[str, Any]]:
    page = await audit.page(store, 0, 100)
    return [msgspec.json.decode(one.content) for one in page if one.kind == "acted"]


async def test_an_act_is_recorded_before_it_is_done() -> None:
    store = (await open_business()).store
    known: list[int] = []

    async def deed() -> str:
        known.append(len(await records(store)))
        return "done"

    assert await carry_out(StoredActs(store), OTTO, REMOVAL, deed) == "done"
    assert known == [1]
    assert await records(store) == [
        {"about": "VATES-12345678", "act": "organization-remove", "subject": "urn:hansa:subject:otto"}
    ]


async def test_an_act_that_is_refused_is_recorded_with_its_code() -> None:
    store = (await open_business()).store

    async def deed() -> None:
        raise Refused(Code.NOT_FOUND, "There is none.")

    with pytest.raises(Refused):
        await carry_out(StoredActs(store), OTTO, REMOVAL, deed)
    assert [one.get("code") for one in await records(store)] == [None, "not-found"]


async def test_nothing_is_done_that_cannot_be_recorded() -> None:
    class Full:
        async def note(self, caller: Caller, act: Act, code: str | None = None) -> None:
            raise Refused(Code.DISK_FULL, "The disk is full.")

    done: list[bool] = []

    async def deed() -> None:
        done.append(True)

    with pytest.raises(Refused):
        await carry_out(Full(), OTTO, REMOVAL, deed)
    assert not done


async def test_what_an_act_is_about_is_of_bounded_length() -> None:
    store = (await open_business()).store
    await StoredActs(store).note(OTTO, Act("entity-find", "x" * 100_000))
    assert len((await records(store))[0]["about"]) == 512
