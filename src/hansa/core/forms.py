"""Forms and query strings of others (`application/x-www-form-urlencoded`): bounded, and with no field twice.

A field that comes twice is read as one by one program and as the other by the next, so there is none here.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from hansa.core.errors import Code, Refused


def unique_fields(raw: bytes | str, count_max: int, *, is_strict: bool = False) -> dict[str, str]:
    """The fields of a form, each once.

    Args:
        raw: ASCII, with everything else encoded as UTF-8 in percent signs.
        count_max: Of the fields.
        is_strict: Whether every part has to be a field, with a name and a value.

    Raises:
        Refused: `Code.MALFORMED`, with the end of a sentence that begins with what it is.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii") if isinstance(raw, bytes) else raw,
            keep_blank_values=True,
            strict_parsing=is_strict,
            errors="strict",
            max_num_fields=count_max,
        )
    except ValueError as error:
        raise Refused(Code.MALFORMED, "cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(Code.MALFORMED, "has a field twice")
    return fields
