"""Renders pages: a template, with one typed context, for one reader.

Everything that a page shows is in its context, a frozen struct that the template knows as `page`. Values are
escaped wherever they stand; a name that a context does not have is an error, not an empty text. The same
context is the answer to `Accept: application/json`.

Reading the translations of a language, and compiling templates, takes longer than other requests should
wait. A thread does it: soon after the start for what everybody sees (`Frame.warm`), else for the template
that all pages extend when the first page in a language is requested (`PreparedPages`), and for any other when
it is first rendered. The compiled templates are the same in all languages, and in all marketplaces of a
process.

A page loads style, script and pictures from this server alone, runs nothing that stands within it, turns no
text into markup by script (Trusted Types), and cannot be framed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from gettext import NullTranslations
from http import HTTPStatus
from types import CodeType
from typing import Final

import msgspec
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hansa import __version__
from hansa.core.http import NO_STORE
from hansa.core.thread_work import SMALL_MAX_BYTES, LargeWork, MadeOnce
from hansa.core.yielding import Pacer
from hansa.portal.frame.assets import Assets
from hansa.portal.frame.branding import Branding
from hansa.portal.frame.formats import FORMATS
from hansa.portal.frame.languages import NAMES, Catalogues, catalogues
from hansa.portal.frame.links import is_web_address
from hansa.portal.frame.page_response import (
    PageResponse,
    encoded_page,
    page_key,
    rendered_pages,
    weight_of,
)
from hansa.portal.frame.people import People
from hansa.portal.frame.reader import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    THEMES,
    PageReader,
    local_path,
    reader_of,
)
from hansa.portal.frame.texts import choice_links, data_block, markdown, marked, shown
from hansa.portal.frame.translating import text_functions

COOKIE_MAX_AGE_S: Final = 365 * 86_400
JSON: Final = "application/json"
HTML: Final = "text/html"
FRAME_TEMPLATES: Final = ("base.html", "parts.html")
"""What other templates extend, or take parts from."""
COMPILING_WEIGHT: Final = SMALL_MAX_BYTES
"""Of a page whose template has not been compiled: that takes up to 90 ms."""


class PagePolicy(msgspec.Struct, frozen=True):
    """What a page may do beyond what all may."""

    form_targets: tuple[str, ...] = ()
    """Where its forms may lead beside this server: origins, or schemes as `openid4vp:`."""

    def header(self) -> str:
        """The value of `Content-Security-Policy`."""
        targets = " ".join(("'self'", *self.form_targets))
        return (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
            f"form-action {targets}; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'"
        )


PLAIN: Final = PagePolicy()


class Frame:
    """What makes pages of one marketplace.

    Args:
        branding: What the operator has set.
        languages: Those that are offered.
        people: Knows who is logged in; None: nobody can log in.
        is_secure: Whether readers come by https, so that cookies go nowhere else.
    """

    def __init__(
        self,
        branding: Branding,
        languages: Catalogues | None = None,
        people: People | None = None,
        *,
        is_secure: bool = False,
    ) -> None:
        self.branding: Final = branding
        self.assets: Final = Assets(branding)
        self._languages = languages if languages is not None else catalogues()
        self._people = people
        self._is_secure = is_secure
        self.large_work: Final = LargeWork()
        self._pacer: Final = Pacer()
        self.rendered_pages: Final = rendered_pages()
        self._rendered: set[str] = set()
        """Templates that are compiled, with those that they take parts from; there are no more than files."""
        self._environments: dict[str, Environment] = {}
        self._made = {code: MadeOnce(partial(self._environment, code)) for code in self._languages}

    async def prepare(self, request: Request) -> None:
        """Have the language of whoever sends a request, so that a page for them is made at once."""
        language = reader_of(request, self._languages).language
        if language not in self._environments:
            await self._made[language].value()

    async def warm(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Read all languages and compile what everybody sees, so that nobody waits for it later.

        Args:
            pause: Is awaited after each part of the work, which is done in threads.
        """
        for made in self._made.values():
            await made.value()
            await pause()
        environment = next(iter(self._environments.values()))
        for template in environment.list_templates(filter_func=_is_for_everybody):
            await asyncio.to_thread(environment.get_template, template)
            self._rendered.add(template)
            await pause()

    def response(
        self,
        request: Request,
        template: str,
        page: msgspec.Struct,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        policy: PagePolicy = PLAIN,
        remember: bool = False,
    ) -> Response:
        """A page as a response; it is made when it is sent (`page_response`).

        With `remember`, its markup serves the next stranger to whom it would say the same (`rendered_pages`).
        """
        reader = self.reader(request)
        own = caching_headers(reader)
        more = {**page_headers(policy), "Content-Language": reader.language, **own, **(headers or {})}
        is_stranger = reader.account is None
        encoded = encoded_page(page)
        key = page_key(template, encoded, reader) if remember and is_stranger else None
        markup = self.rendered_pages.get(key) if key is not None else None
        if markup is not None:
            return Response(markup, status, media_type=HTML, headers=more)
        make, weight = partial(self.render, template, page, reader), weight_of(encoded)
        made = partial(self.rendered_pages.put, key) if key is not None else None
        is_usual_error = status >= HTTPStatus.BAD_REQUEST and weight <= SMALL_MAX_BYTES
        if template not in self._rendered and not is_usual_error:  # which may be that threads have no room
            weight += COMPILING_WEIGHT
        threads, pacer = self.large_work, self._pacer
        return PageResponse(make, weight, threads, pacer, status, more, is_stranger=is_stranger, made=made)

    def reader(self, request: Request) -> PageReader:
        """Who sends a request, and how pages are shown to them."""
        reader = reader_of(request, self._languages)
        if self._people is None:
            return reader
        return msgspec.structs.replace(reader, account=self._people.person(request), has_login=True)

    def negotiated(
        self, request: Request, template: str, page: msgspec.Struct, *, remember: bool = False
    ) -> Response:
        """A page, or what it shows as JSON where the client names that and no page; see `response`."""
        if wants_json(request):
            headers = caching_headers(self.reader(request))
            return Response(msgspec.json.encode(page), media_type=JSON, headers=headers)
        return self.response(request, template, page, remember=remember)

    def render(self, template: str, page: msgspec.Struct, reader: PageReader) -> bytes:
        """The markup of a page."""
        shown = self._environment(reader.language).get_template(template)
        markup = shown.render(page=page, reader=reader).encode("utf-8", "replace")
        self._rendered.add(template)
        return markup

    async def preferences(self, request: Request) -> Response:
        """`GET /preferences`: puts a choice of language and theme into cookies, and leads back."""
        query = request.query_params
        response = RedirectResponse(local_path(query.get("return_to", "")) or "/", 303)
        for cookie, choices in ((LANGUAGE_COOKIE, self._languages), (THEME_COOKIE, THEMES)):
            choice = query.get(cookie)
            if choice is None:
                continue
            is_choice = choice in choices
            response.set_cookie(
                cookie,
                choice if is_choice else "",
                max_age=COOKIE_MAX_AGE_S if is_choice else 0,
                secure=self._is_secure,
                httponly=True,
                samesite="lax",
            )
        response.headers.update(NO_STORE)
        return response

    def plain_environment(self) -> Environment:
        """The templates in English, for what is not translated."""
        return environment_of(NullTranslations())

    def _environment(self, language: str) -> Environment:
        """The templates in a language; but for the frame, each is compiled when it is first rendered."""
        environment = self._environments.get(language)
        if environment is None:
            environment = environment_of(self._languages[language]())
            environment.globals |= {
                "asset": self.assets.address,
                "brand": self.branding,
                "logo": self.assets.logo(),
                "languages": {code: NAMES.get(code, code) for code in self._languages},
                "version": __version__,
            }
            for template in FRAME_TEMPLATES:
                environment.get_template(template)
            self._environments[language] = environment
        return environment


class CompiledTemplates(BytecodeCache):
    """Templates that have been compiled, by place and content, for the environments of all languages."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template what it was compiled to, if it was."""
        compiled = self._compiled.get((bucket.key, bucket.checksum))
        if compiled is not None:
            bucket.code = compiled

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Take what a template was compiled to; there are no more than files."""
        assert bucket.code is not None, "it was compiled just now"
        self._compiled[bucket.key, bucket.checksum] = bucket.code


@cache
def compiled_templates() -> CompiledTemplates:
    """What all marketplaces of a process have compiled."""
    return CompiledTemplates()


class PreparedPages:
    """An application that makes pages, once the language of whoever requests them has been read.

    Args:
        app: Makes the pages.
        frame: Has the languages.
    """

    def __init__(self, app: ASGIApp, frame: Frame) -> None:
        self._app = app
        self._frame = frame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not wants_json(request := Request(scope)):
            await self._frame.prepare(request)
        await self._app(scope, receive, send)


def _is_for_everybody(template: str) -> bool:
    """Whether a template is of pages for strangers."""
    folder, _, _ = template.rpartition("/")
    return folder in {"", "catalogue"}


def environment_of(translations: NullTranslations) -> Environment:
    """An environment of the portal's templates."""
    environment = Environment(
        loader=PackageLoader("hansa.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        bytecode_cache=compiled_templates(),
        finalize=shown,
    )
    environment.filters |= {**FORMATS, "markdown": markdown, "marked": marked, "data_block": data_block}
    environment.filters["choice_links"] = choice_links
    environment.tests["web_address"] = is_web_address
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= text_functions(translations)
    return environment


def page_headers(policy: PagePolicy = PLAIN) -> dict[str, str]:
    """Headers of a page, beside those that the server gives every response."""
    return {
        "Content-Security-Policy": policy.header(),
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def caching_headers(reader: PageReader) -> Mapping[str, str]:
    """What whoever is logged in sees is in no cache: it would be there after they have logged out."""
    return NO_STORE if reader.account is not None else {}


def wants_json(request: Request) -> bool:
    """Whether a client names JSON and no page, as no browser does."""
    accept = request.headers.get("accept", "")
    return JSON in accept and HTML not in accept


def wants_page(request: Request) -> bool:
    """Whether a client names pages, as browsers do."""
    return HTML in request.headers.get("accept", "")
