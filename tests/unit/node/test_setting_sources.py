"""Where the value of a setting comes from."""

from __future__ import annotations

import pytest

from hansa.node.settings.schema import BY_KEY
from hansa.node.settings.sources import source_of


@pytest.mark.parametrize(
    ("in_file", "environment", "source"),
    [
        (frozenset[str](), {}, "default"),
        (frozenset({"log_level"}), {}, "file"),
        (frozenset[str](), {"HANSA_LOG_LEVEL": "debug"}, "environment"),
        (frozenset({"log_level"}), {"HANSA_LOG_LEVEL": "debug"}, "environment"),
    ],
)
def test_the_environment_comes_before_the_file_and_that_before_the_default(
    in_file: frozenset[str], environment: dict[str, str], source: str
) -> None:
    assert source_of(BY_KEY["log_level"], in_file, environment) == source
