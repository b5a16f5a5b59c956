"""What a setting is, as the schema has it."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

ENVIRONMENT_PREFIX: Final = "HANSA_"

Kind = Literal["text", "whole number", "number", "truth value", "list of texts"]
Value = str | int | float | bool | tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One setting, as the schema has it."""

    key: str
    kind: Kind
    default: Value | None
    """None: the setting is required."""
    description: str
    """A sentence without the choices, which `meaning` adds."""
    example: Value
    choices: tuple[str, ...] = ()
    """The only values, if it has a fixed set of them."""

    @property
    def meaning(self) -> str:
        """The description, with the choices."""
        if not self.choices:
            return self.description
        *others, last = (f"`{choice}`" for choice in self.choices)
        return f"{self.description.removesuffix('.')}: {', '.join(others)} or {last}."

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.key.upper()


def choice(key: str, of: Any, default: str, description: str, example: str) -> Setting:
    """A setting whose values are those of a `Literal`."""
    choices = get_args(of)
    assert {default, example} <= set(choices), f"{key} offers {choices}"
    return Setting(key, "text", default, description, example, choices)
