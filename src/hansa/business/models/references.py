"""What references refer to: by the type of a reference, the collections in which its entity can be.

Names say most of it: `CategoryRef` refers to a `Category`, and `ServiceRefOrValue` to a `Service` or holds one. The
rest stands in `references.toml`, and a test finds a reference that neither tells about.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

import msgspec

from hansa.core.errors import Code, Fatal

FILE_NAME: Final = "references.toml"
OR_VALUE: Final = "RefOrValue"
_SUFFIXES: Final = (OR_VALUE, "Ref")
_ANY: Final = ":any"


class Target(msgspec.Struct, frozen=True):
    """What references of one type refer to."""

    collections: tuple[str, ...]
    """Where the entity can be. None: nothing here can be it, so that nothing is checked."""
    is_any: bool = False
    """The entity can be of any type."""
    attribute: str = "id"
    """Attribute of the reference that holds the identifier."""
    is_value_possible: bool = False
    """The attribute may hold an entity itself in place of a reference to one."""

    @property
    def is_checkable(self) -> bool:
        """Whether an entity of this marketplace can be meant."""
        return self.is_any or bool(self.collections)


class References:
    """The targets of all types of references."""

    def __init__(self, text: str, served: Iterable[tuple[str, str]]) -> None:
        """Read the form.

        Args:
            text: Of `references.toml`.
            served: Type and collection of everything that is served.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when it is not in the form or speaks of a type that is not served.
        """
        self._collections: dict[str, tuple[str, ...]] = {}
        for type_name, collection in served:
            self._collections[type_name] = (*self._collections.get(type_name, ()), collection)
        try:
            self._form = msgspec.convert(tomllib.loads(text), _Form)
            self._check()
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
            raise Fatal(Code.SETTINGS_INVALID, f"{FILE_NAME} holds no references: {error}") from error

    def target(self, type_name: str) -> Target | None:
        """What references of a type refer to; None for a type that is no reference."""
        attribute = self._form.attribute.get(type_name, "id")
        or_value = type_name.endswith(OR_VALUE)
        told = self._form.to.get(type_name)
        if told is None:
            base = next((type_name.removesuffix(end) for end in _SUFFIXES if type_name.endswith(end)), None)
            if base not in self._collections:
                return None
            told = (base, *self._form.also.get(base, ()))
        names = [name for each in told for name in self._expanded(each)]
        collections = tuple(dict.fromkeys(found for name in names for found in self._collections[name]))
        return Target(collections, _ANY in told, attribute, or_value)

    def named(self, type_name: str) -> tuple[str, ...] | None:
        """Collections of what calls itself so in an `@referredType`; None for a type that is not served."""
        return self._collections.get(type_name)

    def _expanded(self, name: str) -> tuple[str, ...]:
        if name == _ANY:
            return ()
        return self._form.group[name[1:]] if name.startswith(":") else (name,)

    def _check(self) -> None:
        form = self._form
        groups = form.group.keys() | {_ANY[1:]}
        spoken_of = [
            name for names in (*form.group.values(), *form.also.values(), *form.to.values()) for name in names
        ]
        for name in [*spoken_of, *form.also]:
            known = name[1:] in groups if name.startswith(":") else name in self._collections
            if not known:
                raise ValueError(f"{name} is neither a type that is served nor a group")


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    group: dict[str, tuple[str, ...]] = {}
    also: dict[str, tuple[str, ...]] = {}
    attribute: dict[str, str] = {}
    to: dict[str, tuple[str, ...]] = {}


def references_text() -> str:
    """What stands in `references.toml`."""
    return files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")
