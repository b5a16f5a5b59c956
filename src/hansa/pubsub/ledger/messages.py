"""The protobuf messages that CometBFT and its application exchange (ABCI 2.0).

The build writes `abci.binpb`, a FileDescriptorSet made from the pinned CometBFT's own `.proto` files, beside
this module (docs/decisions/0001). The messages live in a descriptor pool of their own, so they meet no other
library's idea of `tendermint` or `gogoproto` in the global one.

Every request arrives as a `Request` and is answered with a `Response`; each holds exactly one of the messages
named in its `value` oneof: `request.WhichOneof("value")` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from hansa.core.errors import Code, Fatal

DESCRIPTORS: Final = Path(__file__).with_name("abci.binpb")

PACKAGE: Final = "tendermint.abci"


@cache
def load_pool(descriptors: Path = DESCRIPTORS) -> DescriptorPool:
    """The messages of a descriptor set.

    Raises:
        Fatal: `Code.ENGINE_MISSING`, when the file is not there or is damaged.
    """
    pool = DescriptorPool()
    try:
        files = FileDescriptorSet.FromString(descriptors.read_bytes())
        for file in files.file:  # protoc lists a file after everything it imports
            pool.Add(file)
    except (OSError, DecodeError, TypeError) as error:
        raise Fatal(
            Code.ENGINE_MISSING,
            f"{descriptors.name} is missing or damaged: this installation was not built completely. "
            "Run `make setup` in a checkout, or install the package again.",
        ) from error
    return pool


@cache
def message_class(name: str) -> type[Any]:
    """The class of a message by its full protobuf name, such as `tendermint.abci.RequestCheckTx`.

    The classes are made at run time; hence the type. An unknown name is an error of the programmer
    (`KeyError`).

    Raises:
        Fatal: `Code.ENGINE_MISSING`.
    """
    made: type[Any] = GetMessageClass(load_pool().FindMessageTypeByName(name))
    return made


@cache
def enum_values(name: str) -> Mapping[str, int]:
    """Names and numbers of an enumeration: `tendermint.abci.ResponseProcessProposal.ProposalStatus`."""
    values = load_pool().FindEnumTypeByName(name).values
    return MappingProxyType({value.name: value.number for value in values})


Request: Final = message_class(f"{PACKAGE}.Request")
"""What CometBFT sends."""

Response: Final = message_class(f"{PACKAGE}.Response")
"""What the application answers."""
