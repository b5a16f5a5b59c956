"""Brings the texts of the portal's templates into its catalogues, and says what is to translate.

    python -m tools.translations

New texts get an empty translation, texts that are no more are removed, the others stay. Nothing is guessed:
a text that resembles an old one is a new one.
"""

from __future__ import annotations

import io
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PORTAL: Final = Path(__file__).parents[1] / "src" / "hansa" / "portal"
LOCALE: Final = PORTAL / "locale"
WIDTH: Final = 110


REST: Final = "portal"
"""The area of the templates that are in no folder."""


def areas() -> tuple[str, ...]:
    """The folders of templates that have texts, each of which has a file in every language."""
    return tuple(sorted({_area(name) for name, _, message, _, _ in _extracted() if message}))


def template_texts(area: str) -> Catalog:
    """All texts of the templates of an area."""
    texts = Catalog(fuzzy=False)
    for name, _, message, comments, context in _extracted():
        if _area(name) == area:
            texts.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return texts


def updated(content: str, language: str, area: str) -> Catalog:
    """A catalogue with the texts that the templates have now."""
    catalog = read_po(io.StringIO(content), locale=language, abort_invalid=True)
    catalog.update(template_texts(area), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def content_of(catalog: Catalog) -> str:
    """A catalogue as its file has it; without dates and places, so that it changes when a text does."""
    for message in catalog:
        message.locations = sorted({(name, 0) for name, _ in message.locations})
    content = io.BytesIO()
    write_po(content, catalog, width=WIDTH, sort_output=True, omit_header=True, include_lineno=False)
    lines = content.getvalue().decode()
    header = f'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: {catalog.locale}\\n"\n'
    return f'{header}"Plural-Forms: {catalog.plural_forms}\\n"\n\n{lines.strip()}\n'


def untranslated(catalog: Catalog) -> list[str]:
    """Texts that have no translation."""
    missing = []
    for message in catalog:
        text = message.id if isinstance(message.id, str) else message.id[0]
        translations = (message.string,) if isinstance(message.string, str) else message.string or ("",)
        if text and not all(translations):
            missing.append(text)
    return missing


def main() -> int:
    """Write all catalogues anew."""
    missing = 0
    expected = {folder / f"{area}.po" for folder in LOCALE.iterdir() for area in areas()}
    for file in set(LOCALE.glob("*/*.po")) - expected:
        file.unlink()
    for file in sorted(expected):
        catalog = updated(file.read_text() if file.exists() else "", file.parent.name, file.stem)
        file.write_text(content_of(catalog))
        for text in untranslated(catalog):
            missing += 1
            print(f"{file.relative_to(LOCALE)}: to translate: {text}")
    print(f"{missing} texts to translate")
    return 1 if missing else 0


@cache
def _extracted() -> tuple[tuple[Any, ...], ...]:
    options = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    method = [("**.html", "jinja2.ext:babel_extract")]
    return tuple(extract_from_dir(PORTAL / "templates", method, options, comment_tags=("NOTE:",)))


def _area(name: str) -> str:
    folder, slash, _ = name.replace("\\", "/").partition("/")
    return folder if slash else REST


if __name__ == "__main__":
    sys.exit(main())
