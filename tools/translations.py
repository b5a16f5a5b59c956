"""Brings the texts of the portal's templates into its catalogues, and says what is to translate.

    python -m tools.translations

New texts get an empty translation, texts that are no more are removed, the others stay. Nothing is guessed:
a text that resembles an old one is a new one.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

PORTAL: Final = Path(__file__).parents[1] / "src" / "hansa" / "portal"
LOCALE: Final = PORTAL / "locale"
WIDTH: Final = 110


def template_texts() -> Catalog:
    """All texts of the templates."""
    texts = Catalog(fuzzy=False)
    options = {"**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    extracted = extract_from_dir(
        PORTAL / "templates", [("**.html", "jinja2.ext:babel_extract")], options, comment_tags=("NOTE:",)
    )
    for name, _, message, comments, context in extracted:
        texts.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return texts


def updated(content: str, language: str) -> Catalog:
    """A catalogue with the texts that the templates have now."""
    catalog = read_po(io.StringIO(content), locale=language, abort_invalid=True)
    catalog.update(template_texts(), no_fuzzy_matching=True)
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
    for file in sorted(LOCALE.glob("*.po")):
        catalog = updated(file.read_text(), file.stem)
        file.write_text(content_of(catalog))
        for text in untranslated(catalog):
            missing += 1
            print(f"{file.name}: to translate: {text}")
    print(f"{missing} texts to translate")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
