"""Import of files by providers: read, mapped, checked without writing, confirmed, written, reported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.node.parts.pages.editing import OperatedEntities
from hansa.portal.providers.editing.importing.page_jobs import SETTLED_WITHIN_S
from hansa.portal.providers.editing.importing.pages import FORMULA, report_csv
from hansa.portal.providers.editing.importing.planning import (
    AT_ONCE,
    AT_ONCE_MAX_BYTES,
    ReportRow,
    portions,
)
from hansa.portal.providers.editing.importing.reading import ImportRow, read_table
from tests.support.asgi import Response
from tests.support.business import open_business
from tests.support.conditions import until
from tests.support.people import CSRF, PERSON_HEADER
from tests.support.provider_site import ProviderSite, SentForm, open_provider_site
from tests.support.rights import ACME, BOLT, party

JSON = "application/json"
PATH = "/provider/import"
PRICES = (
    "name;amount;currency;model;note\nSmall;1,5;EUR;oneTime;a\nLarge;much;EUR;oneTime;b\n;2;EUR;oneTime;c\n"
)


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    opened = await open_provider_site()
    yield opened
    await opened.store.close()


def form(fields: Mapping[str, str], name: str, content: bytes) -> bytes:
    """A form with a file."""
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'.encode()
        for key, text in fields.items()
    ]
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return b"".join(parts) + head + content + b"\r\n--x--\r\n"


async def send(
    site: ProviderSite, content: bytes, kind: str = "price", who: str | None = "acme", csrf: str = CSRF
) -> Response:
    headers = {"content-type": "multipart/form-data; boundary=x", "accept": "text/html"}
    if who:
        headers[PERSON_HEADER] = who
    body = form({"csrf": csrf, "kind": kind}, "prices.csv", content)
    return await site.client.post(PATH, body=body, headers=headers)


async def page(site: ProviderSite) -> dict[str, object]:
    shown: dict[str, object] = (await site.get("acme", PATH, JSON)).json()
    return shown


async def confirmed(site: ProviderSite) -> None:
    fields = SentForm((await site.get("acme", PATH)).body).fields
    await site.post("acme", f"{PATH}/write", {"file": fields["file"]})


async def test_columns_are_mapped_checked_and_written_after_one_confirmation(site: ProviderSite) -> None:
    assert (await send(site, PRICES.encode())).status == 303
    columns = (await page(site))["columns"]
    assert isinstance(columns, list)
    assert [one["field"] for one in columns] == ["name", "amount", "currency", "model", ""]
    mapping = {f"column.{one['number']}": one["field"] for one in columns}
    await site.post("acme", f"{PATH}/mapping", mapping)
    checked = await page(site)
    assert (checked["state"], checked["good"], checked["refused"]) == ("checked", 1, 2)
    report = checked["report"]
    assert isinstance(report, list)
    reasons = {one["line"]: one["reason"] for one in report if one["outcome"] == "refused"}
    assert "price.value: must be a number" in reasons[3]
    assert reasons[4] == "name: has to be filled in."
    await confirmed(site)
    done = await page(site)
    assert (done["state"], done["good"], done["refused"]) == ("done", 1, 2)
    (written,) = [one for one in done["report"] if one["outcome"] == "created"]  # type: ignore[attr-defined]
    entity = await site.entity(written["id"])
    assert (entity["name"], entity["price"]) == ("Small", {"unit": "EUR", "value": 1.5})
    assert {one["id"] for one in entity["relatedParty"]} == {f"did:elsi:{ACME}"}


async def test_a_dry_run_writes_nothing_and_a_second_confirmation_neither(site: ProviderSite) -> None:
    line = json.dumps({"@type": "ProductSpecification", "name": "Crane"})
    await send(site, line.encode())
    fields = SentForm((await site.get("acme", PATH)).body).fields
    assert await count(site) == 0
    for _ in range(2):
        await site.post("acme", f"{PATH}/write", {"file": fields["file"]})
    assert await count(site) == 1


async def count(site: ProviderSite) -> int:
    response = await site.rights.as_("operator").get(
        "/tmf-api/productCatalogManagement/v4/productSpecification"
    )
    return len(response.json())


async def test_a_record_with_the_identifier_of_something_of_ones_own_changes_it(site: ProviderSite) -> None:
    draft = await site.begun("acme", "specification", name="Crane", brand="Lift")
    id = await site.finished("acme", draft)
    await send(site, json.dumps({"id": id, "@type": "ProductSpecification", "name": "Crane 2"}).encode())
    await confirmed(site)
    entity = await site.entity(id)
    assert (entity["name"], entity["brand"]) == ("Crane 2", "Lift")


async def test_a_record_of_another_type_does_not_change_what_has_its_identifier(site: ProviderSite) -> None:
    id = await site.finished("acme", await site.begun("acme", "specification", name="Crane"))
    await send(site, json.dumps({"id": id, "@type": "ProductOffering", "name": "Not a crane"}).encode())
    shown = await page(site)
    assert (shown["good"], shown["refused"]) == (0, 1)


async def test_what_is_somebody_elses_is_refused_in_the_report(site: ProviderSite) -> None:
    id = await site.finished("bolt", await site.begun("bolt", "specification", name="Bolts"))
    lines = [
        {"id": id, "@type": "ProductSpecification", "name": "stolen"},
        {"@type": "ProductSpecification", "name": "given away", "relatedParty": [party(BOLT)]},
        {"@type": "ProductOrder", "name": "an order"},
        {"@type": "ProductSpecification", "name": 7},
    ]
    await send(site, "\n".join(map(json.dumps, lines)).encode() + b"\n[1]\n{broken")
    shown = await page(site)
    assert (shown["good"], shown["refused"]) == (0, 6)
    assert (await site.entity(id))["name"] == "Bolts"


@pytest.mark.parametrize(
    ("who", "csrf", "status"),
    [(None, CSRF, 401), ("city", CSRF, 403), ("updater", CSRF, 403), ("acme", "x", 403)],
)
async def test_nobody_else_sends_a_file(site: ProviderSite, who: str | None, csrf: str, status: int) -> None:
    assert (await send(site, PRICES.encode(), who=who, csrf=csrf)).status == status
    assert (await page(site))["state"] == "none"


@pytest.mark.parametrize("name", ["mapping", "write", "discard", "report.csv"])
async def test_a_file_is_nobody_elses(site: ProviderSite, name: str) -> None:
    await send(site, json.dumps({"@type": "ProductSpecification", "name": "Crane"}).encode())
    fields = SentForm((await site.get("acme", PATH)).body).fields
    if name == "report.csv":
        assert (await site.get("bolt", f"{PATH}/{name}")).status == 404
    else:
        await site.post("bolt", f"{PATH}/{name}", {"file": fields["file"]})
    assert (await page(site))["state"] == "checked"
    assert await count(site) == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"name\n\xff\xfe", Code.MALFORMED),
        ("name\nx".encode("utf-16"), Code.MALFORMED),
        (b"name\na\0b", Code.MALFORMED),
        (b"", Code.MALFORMED),
        (b"name;amount", Code.MALFORMED),
        (b'name\n"open', Code.MALFORMED),
        (b"name\n" + b"x\n" * 11, Code.TOO_LARGE),
        (b'{"name":"x"}\n' * 11, Code.TOO_LARGE),
        (b",".join([b"c"] * 100) + b"\nx", Code.TOO_LARGE),
        (b"name\n" + b"x" * 200_000, Code.MALFORMED),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(content: bytes, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        read_table(content, Limits(import_rows_max=10))
    assert refused.value.code is code
    assert len(refused.value.message) > 10


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(content: bytes) -> None:
    try:
        table = read_table(content, Limits(import_rows_max=100))
    except Refused:
        return
    assert 0 < len(table.rows) <= 100


def test_a_line_that_is_too_deep_or_has_too_many_values_is_a_row_with_a_reason() -> None:
    lines = b'{"a":' + b"[" * 200 + b"]" * 200 + b'}\n{"a":' + b'{"a":' * 50_000 + b'\n{"a":['
    table = read_table(lines + b"1," * 30_000 + b"1]}", Limits())
    assert [bool(one.problem) for one in table.rows] == [True, True, True]


@given(st.text(max_size=30))
def test_no_cell_of_a_report_is_a_formula(text: str) -> None:
    row = report_csv((ReportRow(2, text, "refused", text),)).split("\r\n", 1)[1]
    name = row[2:].removeprefix('"')
    assert not name.startswith(FORMULA)


async def test_a_file_is_bounded_in_bytes() -> None:
    business = await open_business(limits=Limits(import_file_max_bytes=1000))
    site = ProviderSite(business)
    assert (await send(site, b"name\n" + b"x" * 2000)).status == 413
    assert (await send(site, b"name\n" + b"x" * 100_000)).status == 413
    assert (await send(site, b"name\nx")).status == 303
    await business.store.close()


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"csrf=x", "application/x-www-form-urlencoded", 415),
        (b"--x", "multipart/form-data", 400),
        (b"garbage", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 50 + b"--x--\r\n",
            "multipart/form-data; boundary=x",
            400,
        ),
    ],
    ids=["another form", "no boundary", "garbage", "no file", "many fields"],
)
async def test_a_form_that_cannot_be_read_is_refused(
    site: ProviderSite, body: bytes, media_type: str, status: int
) -> None:
    headers = {"content-type": media_type, PERSON_HEADER: "acme"}
    assert (await site.client.post(PATH, body=body, headers=headers)).status == status


@pytest.mark.parametrize("fields", [{"column.0": "id"}, {"column.0": "name", "column.1": "name"}])
async def test_a_column_is_one_field_of_the_form(site: ProviderSite, fields: dict[str, str]) -> None:
    await send(site, PRICES.encode())
    assert (await site.post("acme", f"{PATH}/mapping", fields)).status == 400


@given(sizes=st.lists(st.integers(0, 2 * AT_ONCE_MAX_BYTES), max_size=60))
def test_few_rows_are_looked_at_in_one_turn_and_large_ones_by_themselves(sizes: list[int]) -> None:
    rows = [ImportRow(line, cells=("x" * size,)) for line, size in enumerate(sizes, 1)]
    turns = list(portions(rows))
    assert [one for turn in turns for one in turn] == rows
    for turn in turns:
        assert 1 <= len(turn) <= AT_ONCE
        assert len(turn) == 1 or sum(len(one.cells[0]) for one in turn) <= AT_ONCE_MAX_BYTES


class HeldWrites:
    """Holds creates back until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = asyncio.Event()
        create = OperatedEntities.create

        async def held(own: OperatedEntities, *args: Any) -> str:
            await self.released.wait()
            return await create(own, *args)

        monkeypatch.setattr(OperatedEntities, "create", held)


async def held_import(site: ProviderSite, rows: int) -> None:
    """An import whose writes do not end, until its request has waited long enough."""
    lines = [json.dumps({"@type": "ProductSpecification", "name": f"Crane {n}"}) for n in range(rows)]
    await send(site, "\n".join(lines).encode())
    answer = asyncio.create_task(confirmed(site))
    clock = site.clock
    assert isinstance(clock, ManualClock)
    await until(lambda: clock.sleepers)
    await clock.advance(SETTLED_WITHIN_S)
    await answer


async def test_what_takes_long_goes_on_beside_the_request_and_is_reported_afterwards(
    site: ProviderSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldWrites(monkeypatch)
    await held_import(site, 30)
    shown = await page(site)
    assert shown["state"] == "writing"
    assert shown["progress"] == {"done": 0, "total": 30, "is_waiting": False, "problem": ""}
    html = (await site.get("acme", PATH)).body.decode()
    assert "You can leave this page" in html
    assert "Write these rows" not in html
    assert (await send(site, PRICES.encode())).status == 429
    await site.post("acme", f"{PATH}/discard", {})
    assert (await page(site))["state"] == "writing"
    assert (await site.get("colleague", PATH, JSON)).json()["state"] == "none"
    held.released.set()
    await until(lambda: not site.jobs.is_busy("import a"))
    done = await page(site)
    assert (done["state"], done["good"], done["progress"]) == ("done", 30, None)


async def test_a_write_that_was_interrupted_is_done_again_and_nothing_twice(
    site: ProviderSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        calls = 0
        create = OperatedEntities.create

        async def failing(own: OperatedEntities, *args: Any) -> str:
            nonlocal calls
            calls += 1
            if calls > 25:
                raise asyncio.CancelledError
            return await create(own, *args)

        patch.setattr(OperatedEntities, "create", failing)
        lines = [json.dumps({"@type": "ProductSpecification", "name": f"Crane {n}"}) for n in range(30)]
        await send(site, "\n".join(lines).encode())
        await confirmed(site)
    interrupted = await page(site)
    assert interrupted["state"] == "writing"
    assert "was interrupted" in (await site.get("acme", PATH)).body.decode()
    assert 0 < await count(site) < 30
    await confirmed(site)
    assert (await page(site))["good"] == 30
    assert await count(site) == 30
