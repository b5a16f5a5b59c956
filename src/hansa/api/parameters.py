"""Query parameters of `/league/v1`, read strictly: what is not understood is refused, never ignored.

A route says which parameters it has, and with which function each is read; then everything that is wrong
with a query is reported at once (`hansa.core.refusals`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import is_entity_key
from hansa.core.instants import is_zoned
from hansa.core.known_words import check_known
from hansa.core.limits import Limits
from hansa.core.refusals import all_refusals

POSITION_MAX: Final = 2**53
PARAMETERS_MAX: Final = 64
KEY_LENGTH_CHARS: Final = 64
HASHLINK_PREFIX: Final = "hl:"
_LIKE_KEY: Final = re.compile(r"[0-9A-Fa-f]{16,}")
_DID: Final = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]+", re.ASCII)
SIZE_MAX: Final = 999_999_999
"""The largest page that may be requested; the response has `list_limit_max` entries at most."""


class Parameters:
    """The parameters of one request, or of another query string."""

    def __init__(self, request: Request | bytes, allowed: Collection[str], limits: Limits) -> None:
        """Read the query string.

        Args:
            request: Whose.
            allowed: Names of the parameters; with a function for each that raises when the value is
                wrong, all of them are checked here.
            limits: Of the query.

        Raises:
            Refused: `Code.INVALID` or `Code.MALFORMED`, naming all that is wrong.
        """
        raw: bytes = request if isinstance(request, bytes) else request.scope["query_string"]
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
            self._values.setdefault(name, []).append(value)
        readers: Mapping[str, Reader] = allowed if isinstance(allowed, Mapping) else {}
        checks: list[Callable[[], object]] = [
            partial(_check_name, name, allowed) if name not in allowed else partial(readers[name], self, name)
            for name in self._values
            if name not in allowed or name in readers
        ]
        for check in checks:
            try:
                check()
            except Refused as first:
                raise all_refusals(first, checks) from None

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
        if not is_zoned(text):
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


Reader = Callable[[Parameters, str], object]
"""Reads a parameter by its name; raises `Refused` when its value is wrong."""


def _check_name(name: str, allowed: Collection[str]) -> None:
    """Refuse a parameter that the route does not have, with the one that is probably meant."""
    if allowed:
        check_known((name,), allowed, "parameter")
    elif name not in allowed:
        raise Refused(Code.INVALID, f"There is no parameter {name[:60]!r}; this takes none.")


def position(parameters: Parameters, name: str) -> int:
    """A position on the ledger, 0 without the parameter."""
    return parameters.number(name, 0, 0, POSITION_MAX)


def page_size(parameters: Parameters, name: str) -> int:
    """How many entries are requested at most; 1 without the parameter."""
    return parameters.number(name, 1, 1, SIZE_MAX)


def known_types(types: Collection[str], what: str) -> Reader:
    """Reads names of which each must be known; of any name when none are known."""

    def read(parameters: Parameters, name: str) -> tuple[str, ...]:
        texts = parameters.texts(name)
        if types:
            check_known(texts, types, what)
        return texts

    return read


def entity_names(parameters: Parameters, name: str) -> tuple[str, ...]:
    """Identifiers or ledger keys of entities; what is neither and was meant as a key is refused."""
    texts = parameters.texts(name)
    for text in texts:
        if _LIKE_KEY.fullmatch(text) and not is_entity_key(text):
            raise Refused(
                Code.INVALID,
                f"{name}: {text[:80]!r} is neither an identifier nor a ledger key, which has {KEY_LENGTH_CHARS} digits, "
                f"0 to 9 and a to f; this has {len(text)}.",
            )
        if text.startswith(HASHLINK_PREFIX):
            raise Refused(
                Code.INVALID,
                f"{name}: {text[:80]!r} is a hashlink, of one version; name the entity, or its key.",
            )
    return texts


def dids(parameters: Parameters, name: str) -> tuple[str, ...]:
    """DIDs of members, by their form."""
    texts = parameters.texts(name)
    for text in texts:
        if _DID.fullmatch(text) is None:
            raise Refused(
                Code.INVALID,
                f"{name}: {text[:80]!r} is no DID; members are named as did:web:market.example, by `/league/v1/members`.",
            )
    return texts
