"""The targets of references: by the type of a reference, the collections to which its entity can belong.

Most follow from names: `CategoryRef` refers to a `Category`, and `ServiceRefOrValue` to a `Service` or holds
one. The others are listed in `references.toml`; a test fails for a reference that neither covers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Final

import msgspec

from hansa.business.models.fixed_structs import FixedStruct
from hansa.core.errors import Code, Fatal

FILE_NAME: Final = "references.toml"
OR_VALUE: Final = "RefOrValue"
_SUFFIXES: Final = (OR_VALUE, "Ref")
_ANY: Final = ":any"


class Target(msgspec.Struct, frozen=True):
    """The entities to which references of one type can refer."""

    collections: tuple[str, ...]
    """Collections to which the entity can belong.

    Empty when this marketplace serves none, and nothing is checked.
    """
    is_any: bool = False
    """The entity can be of any type."""
    attribute: str = "id"
    """Attribute of the reference that holds the identifier."""
    is_value_possible: bool = False
    """The attribute may hold an entity in place of a reference to it."""

    @property
    def is_checkable(self) -> bool:
        """Whether such a reference can refer to an entity of this marketplace."""
        return self.is_any or bool(self.collections)


class References:
    """The targets of all types of references."""

    def __init__(self, text: str, served: Iterable[tuple[str, str]]) -> None:
        """Read the form.

        Args:
            text: Of `references.toml`.
            served: Type and collection of everything that is served.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when it is not in the form or names a type that is not served.
        """
        self._collections: dict[str, tuple[str, ...]] = {}
        for type_name, collection in served:
            self._collections[type_name] = (*self._collections.get(type_name, ()), collection)
        try:
            self._form = msgspec.convert(tomllib.loads(text), _ReferencesForm)
            self._check()
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
            raise Fatal(Code.SETTINGS_INVALID, f"{FILE_NAME} holds no references: {error}") from error

    def target(self, type_name: str) -> Target | None:
        """The target of references of a type; None for a type that is no reference."""
        attribute = self._form.attribute.get(type_name, "id")
        or_value = type_name.endswith(OR_VALUE)
        listed = self._form.to.get(type_name)
        if listed is None:
            base = next((type_name.removesuffix(end) for end in _SUFFIXES if type_name.endswith(end)), None)
            if base not in self._collections:
                return None
            listed = (base, *self._form.also.get(base, ()))
        names = [name for one in listed for name in self._expanded(one)]
        collections = tuple(dict.fromkeys(one for name in names for one in self._collections[name]))
        return Target(collections, _ANY in listed, attribute, or_value)

    @property
    def closure(self) -> Mapping[str, tuple[str, ...]]:
        """By collection, the attributes whose references its entities need to be usable."""
        return self._form.closure

    def collections_of_type(self, type_name: str) -> tuple[str, ...] | None:
        """Collections of the entities of a type, as an `@referredType` names it.

        None for a type that is not served.
        """
        return self._collections.get(type_name)

    def _expanded(self, name: str) -> tuple[str, ...]:
        if name == _ANY:
            return ()
        return self._form.group[name[1:]] if name.startswith(":") else (name,)

    def _check(self) -> None:
        form = self._form
        groups = form.group.keys() | {_ANY[1:]}
        mentioned = [
            name for names in (*form.group.values(), *form.also.values(), *form.to.values()) for name in names
        ]
        for name in [*mentioned, *form.also, *form.closure]:
            known = name[1:] in groups if name.startswith(":") else name in self._collections
            if not known:
                raise ValueError(f"{name} is neither a type that is served nor a group")


class _ReferencesForm(FixedStruct, frozen=True, forbid_unknown_fields=True):
    group: Mapping[str, tuple[str, ...]] = {}
    also: Mapping[str, tuple[str, ...]] = {}
    attribute: Mapping[str, str] = {}
    to: Mapping[str, tuple[str, ...]] = {}
    closure: Mapping[str, tuple[str, ...]] = {}


def references_text() -> str:
    """The text of `references.toml`."""
    return files(__package__).joinpath(FILE_NAME).read_text(encoding="utf-8")
