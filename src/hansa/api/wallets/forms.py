"""Forms that browsers and wallets post: bounded, and with no name twice."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from hansa.api.bodies import typed_body
from hansa.core.errors import Refused
from hansa.core.forms import unique_fields

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 16


async def form_of(request: Request, size_max_bytes: int) -> dict[str, str]:
    """The fields of the form in a request; none when it has no body.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    body = await typed_body(request, FORM, size_max_bytes)
    try:
        return unique_fields(body, FIELDS_MAX)
    except Refused as error:
        raise Refused(error.code, f"The form {error.message}.") from error
