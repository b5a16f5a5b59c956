"""Text of other parties, as it may be shown and logged."""

from __future__ import annotations

from typing import Final

FOREIGN_TEXT_MAX_CHARS: Final = 300
"""Longer text of another party is shortened."""


def printable(text: str, length_max: int = FOREIGN_TEXT_MAX_CHARS) -> str:
    """Another party's text without control characters, shortened."""
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return clean if len(clean) <= length_max else clean[: length_max - 1] + "\u2026"
