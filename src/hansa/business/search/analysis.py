"""Texts become words: what is indexed of entities, and what is sought of queries, by the same rules.

A *word* is a run of letters and digits (with `+` or `#` behind it, as in `C++`); each ideograph is one. It is
*folded*: case, diacritics and invisible characters make no difference. Its *forms* are what it is found by
beside itself, less exactly: its stem, in the language of the text; of names also the parts of a compound
(`OpenTelemetry`) and neighbours spelled as one (`argocd`).

Entities do not say in which language they are. It is guessed by frequent small words; a text without them is
taken for English, where its letters are Latin, since names and short descriptions mostly are. A text in a
language that is not among `LANGUAGES` has no stems. A query is stemmed in all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from itertools import islice, pairwise
from typing import Final, NamedTuple

import snowballstemmer

RULES: Final = f"1 {version('snowballstemmer')}"
"""Of which these are; documents that were made by others are made anew."""
LANGUAGES: Final = {
    "english": "a an and are as at be by for from has in is it its of on or that the this to was with you your",
    "german": "als am an auf aus bei das dem den der des die ein eine einer für im ist mit nicht oder sich sie"
    " sind und von wird zu zum zur",
    "french": "à au aux avec ce cette dans de des du en est et la le les leur ou par pas plus pour que qui sont"
    " sur un une vos votre",
    "spanish": "al como con de del el en es esta este la las los más no o para por que se son su sus un una y",
    "italian": "al alla che con da dei del della delle di e gli i il in la le lo nel nella non o per più si sono"
    " su un una",
}
"""Those that are stemmed, each with frequent small words."""
OTHERS: Final = {
    "dutch": "aan bij dat de die een en het in is met niet of om op te van voor wordt zijn",
    "portuguese": "ao aos com da das de do dos e em mais na não no o os para por que se sua uma um",
    "polish": "dla do i jest na nie oraz po przez się to w z za ze",
    "swedish": "att av den det en ett för i med och på som till är",
    "danish": "af at den der det en er et for i med og på som til",
    "czech": "a je jsou na o pro s se v z za že",
}
"""Those that are recognised, so that they are not stemmed as if they were another."""
WORD_MAX_CHARS: Final = 64
"""Of a longer word, so many characters are its name."""
GUESSED_BY_MAX: Final = 200
"""So many words tell the language."""
SMALL_WORDS_MIN: Final = 2
"""So many of them tell a language."""
STEMS_CACHED_MAX: Final = 65_536

_INVISIBLE: Final = "\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_ACCENTS: Final = "\u0300-\u036f"
_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SIGNS: Final = "\u0900-\u0963\u0966-\u0e7f"
"""Scripts of India and Thailand, in which vowels are signs of their own."""
_LETTER: Final = rf"[^\W_{_IDEOGRAPH}]|[{_SIGNS}]"
_WORD: Final = re.compile(rf"[{_IDEOGRAPH}]|(?:{_LETTER})(?:{_LETTER}|[{_ACCENTS}{_INVISIBLE}])*[+#]{{0,2}}")
_PLAIN_WORD: Final = re.compile("[A-Za-z0-9]+[+#]{0,2}")
"""The same in a text of ASCII, sooner."""
_DROPPED: Final = re.compile(f"[{_ACCENTS}{_INVISIBLE}]")
_CAMEL: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SPELLED_PLAINLY: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "\u0131": "i", "ħ": "h"}
)
_SMALL: Final = {
    language: frozenset(words.split()) for language, words in (*LANGUAGES.items(), *OTHERS.items())
}


class Word(NamedTuple):
    """A word of a text."""

    folded: str
    start: int
    """In characters of the text."""
    end: int
    spelled: str
    """In small letters, without invisible characters."""


Span = tuple[int, int, str]
"""Where a word stands in a text, up to and without the second number, and what stands there."""


def words_of(text: str, limit: int) -> list[Word]:
    """The words of a text, in their order, `limit` at most."""
    return list(islice(each_word(text), limit))


def spans_of(text: str) -> Iterator[Span]:
    """Where a text has words: start, end, and what stands there."""
    for match in (_PLAIN_WORD if text.isascii() else _WORD).finditer(text):
        yield *match.span(), match[0]


def each_word(text: str) -> Iterator[Word]:
    """The words of a text, in their order, one after the other."""
    for start, end, word in spans_of(text):
        spelled, plain = read_word(word)
        if plain:
            yield Word(plain, start, end, spelled)


def read_word(text: str) -> tuple[str, str]:
    """How a word of a text is spelled, and folded; a word of nothing but signs is folded to nothing."""
    spelled = text[:WORD_MAX_CHARS].lower()
    return spelled, spelled if spelled.isascii() else folded(spelled)


def folded(word: str) -> str:
    """A word without what makes no difference."""
    if word.isascii():
        return word.lower()
    decomposed = _DROPPED.sub("", unicodedata.normalize("NFKD", word).casefold())
    composed = unicodedata.normalize("NFC", decomposed.translate(_SPELLED_PLAINLY))
    # A compatibility character may stand for several words, or for signs.
    return "".join(
        one for one in composed if one.isalnum() or one in "+#" or unicodedata.category(one)[0] == "M"
    )


def language_of(words: Iterable[Word]) -> str | None:
    """The language of a text; None for one that is not stemmed."""
    first = [word.spelled for word, _ in zip(words, range(GUESSED_BY_MAX), strict=False)]
    counts = {language: sum(map(small.__contains__, first)) for language, small in _SMALL.items()}
    best = max(counts, key=lambda language: (counts[language], language in LANGUAGES, language == "english"))
    if counts[best] < SMALL_WORDS_MIN:
        return "english" if any(map(str.isascii, first)) else None
    return best if best in LANGUAGES else None


@lru_cache(STEMS_CACHED_MAX)
def stem(spelled: str, language: str) -> str:
    """The stem of a word, folded."""
    return folded(str(_stemmer(language).stemWord(spelled)))


@lru_cache(len(LANGUAGES))
def _stemmer(language: str) -> snowballstemmer.SnowballStemmer:
    return snowballstemmer.stemmer(language)


@lru_cache(STEMS_CACHED_MAX)
def stems(spelled: str) -> tuple[str, ...]:
    """The stems of a word in all languages, each once."""
    return tuple(dict.fromkeys(stem(spelled, language) for language in LANGUAGES))


def is_small(spelled: str) -> bool:
    """Whether a word is one of the frequent small ones, which tell nothing beside others."""
    return any(spelled in _SMALL[language] for language in LANGUAGES)


def forms_of(words: Iterable[Word], language: str | None) -> list[str]:
    """The stems of the words of a text."""
    if language is None:
        return []
    return [stem(word.spelled, language) for word in words]


def compound_forms(text: str, words: list[Word]) -> list[str]:
    """Of a name: the parts of compounds, and neighbours spelled as one."""
    forms: list[str] = []
    for word in words:
        parts = _CAMEL.findall(text[word.start : word.end])
        if len(parts) > 1:
            forms += [folded(part) for part in parts]
    forms += [one.folded + other.folded for one, other in pairwise(words)]
    if len(words) > 2:
        forms.append("".join(word.folded for word in words)[:WORD_MAX_CHARS])
    return forms
