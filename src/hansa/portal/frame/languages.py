"""Catalogues of translations: gettext files of `locale/`, one for each language beside English.

The texts of the templates are English. A language is offered when its catalogue is complete, which
`tests/unit/portal/test_translations.py` checks; `python -m tools.translations` brings new texts into all of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from gettext import NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import Final

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
    """The translations of a language, from its file."""
    with files("hansa.portal").joinpath(f"locale/{language}.po").open("rb") as file:
        texts = read_po(file, locale=language, abort_invalid=True)
    compiled = BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return Translations(compiled)


def catalogues() -> Catalogues:
    """All languages that are offered."""
    folder = files("hansa.portal").joinpath("locale")
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    translated = {code: partial(catalogue, code) for code in NAMES if f"{code}.po" in names}
    return {SOURCE: NullTranslations, **translated}
