"""Where the value of a setting comes from."""

from __future__ import annotations

import pytest

from hansa.node.settings.schema import BY_KEY
from hansa.node.settings.sources import source_of


@pytest.mark.parametrize(
    ("in_file", "in_environment", "source"),
    [
        (frozenset[str](), frozenset[str](), "default"),
        (frozenset({"log_level"}), frozenset[str](), "file"),
        (frozenset[str](), frozenset({"log_level"}), "environment"),
        (frozenset({"log_level"}), frozenset({"log_level"}), "environment"),
    ],
)
def test_the_environment_comes_before_the_file_and_that_before_the_default(
    in_file: frozenset[str], in_environment: frozenset[str], source: str
) -> None:
    assert source_of(BY_KEY["log_level"], in_file, in_environment) == source
