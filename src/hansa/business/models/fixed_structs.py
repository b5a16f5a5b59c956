"""Structs whose mappings cannot be changed: all marketplaces of a process share the models."""

from __future__ import annotations

from types import MappingProxyType

import msgspec


class FixedStruct(msgspec.Struct, frozen=True):
    """A struct that shows its dictionaries as views through which nothing can be changed."""

    def __post_init__(self) -> None:
        """Put the views into the place of the dictionaries."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is dict:
                msgspec.structs.force_setattr(self, name, MappingProxyType(value))
