"""Catalogues of translations: gettext files of `locale/`, a folder for each language beside English.

The texts of the templates are English. Each folder of templates has a file in every language: `login.po` has
those of `templates/login/`, and `portal.po` those of the templates that are in none. A language is all its
files. It is offered when they are complete, which `tests/unit/portal/test_translations.py` checks; `python -m
tools.translations` brings new texts into all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from gettext import NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

SOURCE: Final = "en"
"""The language of the templates."""
REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("en_GB", "en_IE", "en_MT", "en_US", "en_CA", "en_AU", "en_NZ"),
    "es": ("es_ES", "es_MX", "es_AR", "es_CO", "es_CL", "es_US"),
    "de": ("de_DE", "de_AT", "de_CH", "de_LI", "de_LU"),
    "fr": ("fr_FR", "fr_BE", "fr_CH", "fr_LU", "fr_CA"),
    "it": ("it_IT", "it_CH"),
}
"""By language, the regions whose forms of dates and numbers are used; the first unless the reader names
one."""
NAMES: Final = {"en": "English", "es": "Español", "de": "Deutsch", "fr": "Français", "it": "Italiano"}

Catalogues = Mapping[str, Callable[[], NullTranslations]]
"""What translates, by language."""


@cache
def catalogue(language: str) -> NullTranslations:
    """The translations of a language, from its files."""
    texts = Catalog(locale=language)
    for file in files("hansa.portal").joinpath(f"locale/{language}").iterdir():
        with file.open("rb") as content:
            for message in read_po(content, locale=language, abort_invalid=True):
                if message.id:
                    texts[message.id] = message
    compiled = BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return Translations(compiled)


def catalogues() -> Catalogues:
    """All languages that are offered."""
    folder = files("hansa.portal").joinpath("locale")
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    translated = {code: partial(catalogue, code) for code in NAMES if code in names}
    return {SOURCE: NullTranslations, **translated}
