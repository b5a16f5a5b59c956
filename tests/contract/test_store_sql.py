"""The SQL of the domain tables is portable, and nobody else runs SQL through a store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STORE = Path(__file__).parents[2] / "src/hansa/store"
TABLES = [STORE / "sql.py", *sorted((STORE / "tables").glob("*.py"))]
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


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_the_tables_say_nothing_that_one_engine_alone_understands(path: Path) -> None:
    text = path.read_text()
    for reason, pattern in OF_ONE_ENGINE.items():
        assert not re.findall(pattern, text), reason


def test_only_the_tables_run_sql_through_a_store() -> None:
    product = STORE.parent
    users = {
        path.relative_to(product).as_posix()
        for path in product.rglob("*.py")
        if re.search(r"\.sql\.(fetch|execute)\(", path.read_text())
    }
    others = {user for user in users if not user.startswith("store/tables/")}
    assert others == {"store/memory/store.py"}, "the listeners of a topic end with it, by a trigger elsewhere"
