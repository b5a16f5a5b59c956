"""The SQL of the domain tables is portable, and nobody else runs SQL through a store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STORE = Path(__file__).parents[2] / "src/hansa/store"
TABLES = [STORE / "sql.py", *sorted((STORE / "tables").rglob("*.py"))]
OF_ONE_ENGINE = {
    "coalesce means the same": r"\bifnull\(|\bnvl\(",
    "the planner chooses the index": r"\bINDEXED BY\b",
    "an upsert names what is unique": r"ON CONFLICT DO UPDATE",
    "values are parameters": r"\bjson_\w+\(|::\w+",
    "sum and coalesce mean the same": r"\btotal\(",
    "parameters are not numbered": r"\?\d|\$\d",
    "IS DISTINCT FROM means the same": r"\bIS NOT \?|\bIS \?",
    "there are other functions for it": r"\binstr\(|\bGLOB\b|\bREGEXP\b|\bstrftime\(|\browid\b|\bOR REPLACE\b",
    "parameters of a SELECT list have no type": r"SELECT \?",
}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(STORE).as_posix())
def test_the_tables_say_nothing_that_one_engine_alone_understands(path: Path) -> None:
    text = path.read_text()
    for reason, pattern in OF_ONE_ENGINE.items():
        assert not re.findall(pattern, text), reason


def users_of(methods: str) -> set[str]:
    """Modules outside the tables that call some methods of a store's SQL."""
    product = STORE.parent
    users = {
        path.relative_to(product).as_posix()
        for path in product.rglob("*.py")
        if re.search(rf"\.sql\.({methods})\(", path.read_text())
    }
    return {user for user in users if not user.startswith("store/tables/")}


def test_only_the_tables_write_by_sql_through_a_store() -> None:
    others = users_of("execute|execute_many")
    assert others == {"store/memory/store.py"}, "the listeners of a topic end with it, by a trigger elsewhere"


def test_only_the_tables_read_by_sql_through_a_store() -> None:
    others = {user for user in users_of("fetch") if not user.startswith("sim/checking/")}
    assert not others - {"store/memory/store.py"}, "what checks a simulation trusts no code of the product"
