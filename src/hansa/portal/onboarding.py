"""The page on which an organisation registers, and accepts the operator's terms."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.http import NO_STORE
from hansa.portal.frame import Frame


class RegistrationPages:
    """Renders it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def onboarding(self, request: Request, view: msgspec.Struct) -> Response:
        """Where the organisation is; the template knows the view as `page`."""
        return self._frame.response(request, "onboarding/registration.html", view, headers=NO_STORE)

    def employees(self, request: Request, view: msgspec.Struct) -> Response:
        """The employees of an organisation, and an invitation that was just made."""
        return self._frame.response(request, "onboarding/employees.html", view, headers=NO_STORE)
