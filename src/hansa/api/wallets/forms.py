"""Forms that browsers and wallets post: bounded, and with no name twice."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from hansa.api.bodies import typed_body
from hansa.core.errors import Code, Refused

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 16


async def form_of(request: Request, size_max_bytes: int) -> dict[str, str]:
    """The fields of the form in a request; none when it has no body.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    body = await typed_body(request, FORM, size_max_bytes)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError as error:
        raise Refused(Code.MALFORMED, "The form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(Code.MALFORMED, "The form has a field twice.")
    return fields
