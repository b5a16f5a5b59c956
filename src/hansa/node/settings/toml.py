"""Settings as `hansa.toml` has them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hansa.node.settings.schema import BY_KEY
from hansa.node.settings.setting import Value


def toml_value(value: Value) -> str:
    """A value as TOML writes it. A TOML basic string is a JSON string, but for DEL."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_document(values: Mapping[str, Value]) -> str:
    """A `hansa.toml` that sets these keys, each under its description."""
    lines = [
        "# The settings of this marketplace. Every other setting has its default: see docs/settings.md.",
    ]
    for key, value in values.items():
        lines += ["", f"# {BY_KEY[key].meaning}", f"{key} = {toml_value(value)}"]
    return "\n".join(lines) + "\n"
