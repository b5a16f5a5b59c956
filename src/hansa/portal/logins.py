"""The pages of a login with a wallet. They work without scripts: where something is awaited, they load again.

A QR code is drawn here, in the page itself, from rectangles alone.
"""

from __future__ import annotations

from typing import Final

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.http import NO_STORE
from hansa.identity.presentations import CodeView, LoginLinks, LoginView, WalletLink
from hansa.identity.principal import Principal
from hansa.portal.frame import Frame

RELOAD_S: Final = 3
QR_SCALE: Final = 4
QR_BORDER: Final = 4
QR_MASK: Final = 3
"""Readers take any of the eight; trying which of them suits a code best takes four fifths of its time."""
"""Modules of white around it, which readers need (ISO/IEC 18004)."""
RELOADED: Final = {**NO_STORE, "Refresh": str(RELOAD_S)}


class LoginChoice(msgspec.Struct, frozen=True):
    """Which credentials people may log in with."""

    has_mandates: bool = True
    """Those of an organisation."""
    has_identities: bool = False
    """Identity documents, for themselves."""


MANDATES_ALONE: Final = LoginChoice()


class StartPage(msgspec.Struct, frozen=True):
    """For the template `login/start.html`."""

    return_to: str
    choice: LoginChoice


class WaitingPage(msgspec.Struct, frozen=True):
    """For the template `login/waiting.html`."""

    path: str
    """Of this page."""
    links: tuple[WalletLink, ...]
    qr: Markup
    """Empty: other devices cannot log in."""
    other_device: str
    """What is in the QR code."""
    declined: str


class ReturningPage(msgspec.Struct, frozen=True):
    """For the template `login/returning.html`."""

    path: str


class ConfirmingPage(msgspec.Struct, frozen=True):
    """For the template `login/confirming.html`."""

    path: str
    principal: Principal
    confirmation: str
    needs_code: bool
    problem: str
    marketplace: str
    address: str


class OverPage(msgspec.Struct, frozen=True):
    """For the template `login/over.html`."""

    sentence: str


class CodePage(msgspec.Struct, frozen=True):
    """For the template `login/code.html`."""

    principal: Principal
    code: str
    """In two groups of digits."""
    marketplace: str
    address: str


class WalletLoginPages:
    """The pages of a marketplace's logins.

    Args:
        frame: Of all pages.
        name: Of the marketplace.
        address: Where browsers reach it.
        choice: What people may log in with.
    """

    def __init__(self, frame: Frame, name: str, address: str, choice: LoginChoice = MANDATES_ALONE) -> None:
        self._frame = frame
        self._name = name
        self._address = address
        self._choice = choice

    def start(self, request: Request, return_to: str) -> Response:
        """Explains it, with a form that begins one."""
        page = StartPage(return_to, self._choice)
        return self._frame.response(request, "login/start.html", page, headers=NO_STORE)

    def waiting(self, request: Request, name: str, links: LoginLinks, declined: str) -> Response:
        """Links and QR code; loads again by itself."""
        page = WaitingPage(
            path=f"/login/{name}",
            links=links.same_device,
            qr=qr_code(links.other_device) if links.other_device else Markup(),
            other_device=links.other_device,
            declined=declined,
        )
        return self._frame.response(request, "login/waiting.html", page, headers=RELOADED)

    def returning(self, request: Request, name: str) -> Response:
        """Says that the wallet leads on; loads again by itself."""
        page = ReturningPage(f"/login/{name}")
        return self._frame.response(request, "login/returning.html", page, headers=RELOADED)

    def confirming(self, request: Request, name: str, view: LoginView, problem: str) -> Response:
        """Asks whether the person wants to be logged in, and for the code."""
        assert view.principal is not None, "somebody is about to log in"
        page = ConfirmingPage(
            path=f"/login/{name}",
            principal=view.principal,
            confirmation=view.confirmation,
            needs_code=view.needs_code,
            problem=problem,
            marketplace=self._name,
            address=self._address,
        )
        status = 400 if problem else 200
        return self._frame.response(request, "login/confirming.html", page, status=status, headers=NO_STORE)

    def over(self, request: Request, sentence: str, status: int) -> Response:
        """Says why there is nothing more to do here."""
        page = OverPage(sentence)
        return self._frame.response(request, "login/over.html", page, status=status, headers=NO_STORE)

    def code(self, request: Request, view: CodeView) -> Response:
        """Shows, beside the wallet, the code that is to be typed into the browser."""
        half = len(view.code) // 2
        code = f"{view.code[:half]} {view.code[half:]}"
        page = CodePage(view.principal, code, self._name, self._address)
        return self._frame.response(request, "login/code.html", page, headers=NO_STORE)


def qr_code(text: str) -> Markup:
    """A QR code as SVG within a page."""
    import segno  # its tables take longer to load than the rest of the pages

    code = segno.make_qr(text, error="m", mask=QR_MASK)
    return Markup(code.svg_inline(scale=QR_SCALE, border=QR_BORDER, dark="#000", light="#fff"))  # noqa: S704
