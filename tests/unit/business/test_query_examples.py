"""The examples of docs/integrators/queries.md, asked of a marketplace that holds its offerings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hansa.store.operators import EQ, OPERATORS
from tests.support.business import CATALOG, Business, open_business

PAGE: Final = (Path(__file__).parents[3] / "docs/integrators/queries.md").read_text(encoding="utf-8")
OFFERINGS: Final = CATALOG + "/productOffering"


def rows(header: str) -> list[list[str]]:
    """The cells of all tables with that header; the first cell is code."""
    cells_of_rows: list[list[str]] = []
    is_inside = False
    for line in PAGE.splitlines():
        if not line.startswith("|"):
            is_inside = False
        elif line.startswith(header):
            is_inside = True
        elif is_inside and not line.startswith("|---"):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            cells_of_rows.append([cells[0].strip("`"), *cells[1:]])
    return cells_of_rows


async def shop() -> Business:
    """A marketplace with the offerings of the page."""
    business = await open_business()
    block = re.search(r"```json\n(\[.*?)```", PAGE, re.DOTALL)
    assert block is not None
    for offering in json.loads(block[1]):
        answer = await business.operator.request("POST", OFFERINGS, offering)
        assert answer.status == 201, answer.body
    return business


async def test_every_query_finds_what_the_page_says() -> None:
    business = await shop()
    examples = rows("| Query | Finds |")
    assert len(examples) > 40
    wrong = {}
    for query, expected in examples:
        answer = await business.operator.request("GET", f"{OFFERINGS}?{query.replace(' ', '%20')}")
        shown = answer.json()
        ids = ", ".join(one["id"] for one in shown) if answer.status in {200, 206} else shown["message"]
        if (ids or "nothing") != expected:
            wrong[query] = ids
    assert not wrong
    await business.store.close()


def test_the_table_of_operators_has_them_all() -> None:
    table = {cells[0]: cells[1:] for cells in rows("| Operator | Suffix | Literal | Encoded |")}
    assert set(table) == {one.title for one in OPERATORS}
    for one in OPERATORS:
        literals = ["=", *one.literals] if one is EQ else one.literals
        encoded = [quote(literal, safe="") for literal in one.literals]
        named = [f".{suffix}" for suffix in one.suffixes]
        assert table[one.title] == [
            ", ".join(f"`{text}`" for text in texts) for texts in (named, literals, encoded)
        ]


async def test_fields_show_what_the_page_says() -> None:
    business = await shop()
    for query, expected in rows("| Query | Shows of o1 |"):
        answer = await business.operator.request("GET", f"{OFFERINGS}/o1?{query}")
        shown = answer.json()
        assert {"id", "href"} <= shown.keys()
        rest = {name: value for name, value in shown.items() if name not in {"id", "href"}}
        assert rest == json.loads(expected.strip("`")), query
    await business.store.close()


async def test_what_the_page_calls_wrong_is_refused() -> None:
    business = await shop()
    for query, status, _ in rows("| Query | Answer | Because |"):
        answer = await business.operator.request("GET", f"{OFFERINGS}?{query}")
        assert str(answer.status) == status, query
    await business.store.close()
