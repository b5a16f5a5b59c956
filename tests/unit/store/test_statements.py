"""SQL for many values: few statements, whatever the number of values."""

from __future__ import annotations

import pytest

from hansa.store.sql import VALUES_PER_STATEMENT_MAX, statements_for


@pytest.mark.parametrize(
    "count", [0, 1, 2, 3, 100, VALUES_PER_STATEMENT_MAX, VALUES_PER_STATEMENT_MAX + 3, 1500]
)
def test_every_value_is_looked_up_and_no_other(count: int) -> None:
    values = [f"v{n}" for n in range(count)]
    statements = list(statements_for("SELECT x FROM t WHERE a = ? AND b", values, ("first",)))
    assert all(parameters[0] == "first" for _, parameters in statements)
    named = [one for _, parameters in statements for one in parameters[1:]]
    assert list(dict.fromkeys(named)) == values
    assert all(sql.count("?") == len(parameters) for sql, parameters in statements)


def test_numbers_of_values_share_their_statements() -> None:
    counts = range(1, VALUES_PER_STATEMENT_MAX + 1)
    texts = {sql for count in counts for sql, _ in statements_for("SELECT x FROM t WHERE b", ["v"] * count)}
    assert len(texts) <= VALUES_PER_STATEMENT_MAX.bit_length() + 1
