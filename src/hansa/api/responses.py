"""Responses of `/league/v1` and of whatever else Starlette routes: JSON, and errors in the one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from hansa.core.error_response import error_response
from hansa.core.errors import HansaError

JSON: Final = "application/json"


def json_response(content: Any, media_type: str = JSON, headers: Mapping[str, str] | None = None) -> Response:
    """200 with JSON."""
    return Response(msgspec.json.encode(content), media_type=media_type, headers=headers)


def response_of(error: HansaError, *, status: int | None = None) -> Response:
    """The response that reports an error; see `hansa.core.error_response`."""
    response = error_response(error, status=status)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers}
    return Response(response.body, response.status, headers)
