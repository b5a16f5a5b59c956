"""The page docs/settings.md."""

from __future__ import annotations

from collections.abc import Iterable

from hansa.node.settings.schema import LEDGER_LIMITS, LIMIT_SETTINGS, OWN_SETTINGS
from hansa.node.settings.setting import Setting
from hansa.node.settings.toml import toml_value


def settings_page() -> str:
    """The content of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "A setting is a key in `hansa.toml` in the marketplace's folder, or an environment variable, which wins. In a",
        "variable, the parts of a list are separated by commas. Unknown keys, wrong types and values out of range end",
        "the start with exit status 3 and a message that names file, key and reason. The unit is the last part of the",
        "name: `_s` seconds, `_bytes` bytes, `_chars` characters.",
        "",
        "Written by `python -m tools.document`; a test keeps it in step with the code.",
        "",
        "## The marketplace",
        "",
        *_table(OWN_SETTINGS),
        "",
        "## Limits",
        "",
        "Everything that can grow has a bound. The defaults suit a marketplace on one machine. What decides which",
        "events are valid is the same for the whole league and stands in its genesis: "
        + ", ".join(f"`{name}`" for name in sorted(LEDGER_LIMITS))
        + ".",
        "",
        *_table(LIMIT_SETTINGS),
    ]
    return "\n".join(lines) + "\n"


def _table(settings: Iterable[Setting]) -> list[str]:
    rows = ["| Key | Variable | Type | Default | Meaning | Example |", "|---|---|---|---|---|---|"]
    for setting in settings:
        default = "(required)" if setting.default is None else f"`{toml_value(setting.default)}`"
        rows.append(
            f"| `{setting.key}` | `{setting.variable}` | {setting.kind} | {default} | {setting.meaning} "
            f"| `{toml_value(setting.example)}` |"
        )
    return rows
