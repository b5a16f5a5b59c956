"""Specifications of SD-JWTs as the working group writes them: claims with `!sd` at what may be withheld."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.support.credentials import digest, encoded


class Withheld(msgspec.Struct, frozen=True):
    """A claim's name, or an element, that may be withheld."""

    value: Any


class _Loader(yaml.SafeLoader):
    """Reads `!sd`."""


def _withheld(loader: yaml.SafeLoader, node: yaml.Node) -> Withheld:
    if isinstance(node, yaml.MappingNode):
        return Withheld(_mapping(loader, node))
    if isinstance(node, yaml.SequenceNode):
        return Withheld([loader.construct_object(one, deep=True) for one in node.value])
    assert isinstance(node, yaml.ScalarNode)
    return Withheld(node.value if node.style else yaml.safe_load(node.value))


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    """An object, as pairs: the names that may be withheld are marked."""
    return {
        loader.construct_object(name, deep=True): loader.construct_object(value, deep=True)
        for name, value in node.value
    }


_Loader.add_constructor("!sd", _withheld)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_specification(path: Path) -> dict[str, Any]:
    """A specification."""
    content: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    return content


def plain(value: Any) -> Any:
    """The claims without marks: what a verifier gets when everything is disclosed."""
    if isinstance(value, Withheld):
        return plain(value.value)
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class Issuing:
    """Hides what may be withheld, and notes which disclosures a holder would send."""

    def __init__(self) -> None:
        self.every: list[str] = []
        self.chosen: list[str] = []

    def signed(self, value: Any, choice: Any) -> Any:
        """The claims as they are signed; `choice`: what the holder discloses of them."""
        if isinstance(value, dict):
            return self._object(value, choice if isinstance(choice, dict) else {})
        if isinstance(value, list):
            choices = [*(choice if isinstance(choice, list) else []), *[None] * len(value)]
            return [self._element(item, one) for item, one in zip(value, choices, strict=False)]
        return value

    def _object(self, value: dict[Any, Any], choice: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        digests = []
        for name, item in value.items():
            one = choice.get(plain(name))
            inner = self.signed(item, one)
            if isinstance(name, Withheld):
                digests.append(self._disclosed(one, plain(name), inner))
            else:
                result[name] = inner
        return result | ({"_sd": sorted(digests)} if digests else {})

    def _element(self, item: Any, choice: Any) -> Any:
        if not isinstance(item, Withheld):
            return self.signed(item, choice)
        return {"...": self._disclosed(choice, self.signed(item.value, choice))}

    def _disclosed(self, choice: Any, *parts: Any) -> str:
        text = encoded([f"salt {len(self.every)}", *parts])
        self.every.append(text)
        if choice is not None and choice is not False:
            self.chosen.append(text)
        return digest(text)
