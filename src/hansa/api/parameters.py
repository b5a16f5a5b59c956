"""Query parameters of `/league/v1`, read strictly: what is not understood is refused, never ignored."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits

POSITION_MAX: Final = 2**53
PARAMETERS_MAX: Final = 64
SIZE_MAX: Final = 999_999_999
"""The largest page that may be requested; the response has `list_limit_max` entries at most."""


class Parameters:
    """The parameters of one request."""

    def __init__(self, request: Request, allowed: Collection[str], limits: Limits) -> None:
        """Read the query string.

        Raises:
            Refused: `Code.INVALID` or `Code.MALFORMED`.
        """
        raw: bytes = request.scope["query_string"]
        if len(raw) > limits.query_length_max_chars:
            raise Refused(
                Code.INVALID, f"The query is longer than {limits.query_length_max_chars} characters."
            )
        try:
            pairs = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
            )
        except ValueError as error:
            raise Refused(Code.MALFORMED, "The query cannot be read.") from error
        self._limits = limits
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                raise Refused(Code.INVALID, f"Unknown parameter {name[:64]!r}; known here: {known}.")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str | None:
        """A parameter that may occur once; None when it does not."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise Refused(Code.INVALID, f"{name} occurs more than once.")
        return values[0] if values else None

    def texts(self, name: str) -> tuple[str, ...]:
        """A parameter that may occur several times, or hold a list with commas."""
        values = tuple(part for value in self._values.get(name, []) for part in value.split(","))
        if any(not value for value in values):
            raise Refused(Code.INVALID, f"{name} is empty.")
        if len(values) > PARAMETERS_MAX:
            raise Refused(Code.INVALID, f"{name} has more than {PARAMETERS_MAX} values.")
        return values

    def number(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number."""
        return whole_number(name, self.text(name), default, minimum, maximum)

    def page_size(self, default: int) -> int:
        """How many entries the page has at most: the parameter `limit`, but no more than `list_limit_max`."""
        return min(self.number("limit", default, 1, SIZE_MAX), self._limits.list_limit_max)

    def moment(self, name: str) -> str | None:
        """An RFC 3339 time with its zone."""
        text = self.text(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or "T" not in text.upper():
            raise Refused(
                Code.INVALID,
                f"{name} is not an RFC 3339 time with its zone, as 2026-01-31T12:00:00Z (write + as %2B).",
            )
        return text


def whole_number(name: str, text: str | None, default: int, minimum: int, maximum: int) -> int:
    """A number from a parameter or header.

    Raises:
        Refused: `Code.INVALID`.
    """
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(maximum))
    if not is_number or not minimum <= int(text) <= maximum:
        raise Refused(Code.INVALID, f"{name} is not a whole number from {minimum} to {maximum}.")
    return int(text)
