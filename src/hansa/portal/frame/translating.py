"""The functions by which templates translate: what Jinja's have, with each text made ready once.

A page has some sixty texts, most of them without variables. A text is markup, as all texts of templates are;
what is put into it is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from gettext import NullTranslations
from typing import Any

from markupsafe import Markup, escape


def text_functions(translations: NullTranslations) -> Mapping[str, Callable[..., Markup]]:
    """The functions for one language, by the names that templates use."""
    ready: dict[str, Markup] = {}
    """Texts without variables; they stand in templates, so they are so many at most."""

    def gettext(message: str, /, **variables: Any) -> Markup:
        if variables:
            return _filled(translations.gettext(message), variables)
        text = ready.get(message)
        if text is None:
            text = ready[message] = _filled(translations.gettext(message), variables)
        return text

    def ngettext(singular: str, plural: str, number: int, /, **variables: Any) -> Markup:
        return _filled(translations.ngettext(singular, plural, number), {"num": number, **variables})

    return {"gettext": gettext, "ngettext": ngettext, "_": gettext}


def _filled(text: str, variables: Mapping[str, Any]) -> Markup:
    values = {name: escape(value) for name, value in variables.items()}
    return Markup(text % values)  # noqa: S704 - a text of ours, with values that are escaped
