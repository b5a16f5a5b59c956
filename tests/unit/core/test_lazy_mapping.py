"""A mapping whose values are made when they are looked up first."""

from __future__ import annotations

import pytest

from hansa.core.lazy_mapping import LazyMapping


def test_a_value_is_made_once_and_by_nothing_but_a_look_up() -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key.upper()

    values = LazyMapping(["a", "b"], make)
    assert (list(values), len(values), "a" in values, "c" in values) == (["a", "b"], 2, True, False)
    assert made == []
    assert (values["b"], values["b"], values.get("c")) == ("B", "B", None)
    assert made == ["b"]
    assert dict(values) == {"a": "A", "b": "B"}


def test_what_is_no_key_is_an_error_and_what_cannot_be_made_is_tried_again() -> None:
    values = LazyMapping([1, 0], lambda key: 1 // key)
    with pytest.raises(KeyError):
        values[2]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            values[0]
    assert values[1] == 1
