"""ABCI queries: those of CometBFT itself, and one for figures.

What is on the ledger is read from the file of its state.

/p2p/filter/addr/<address>   whether an address may connect; any may
/p2p/filter/id/<node id>     whether an engine, whose node id is proved, may be a peer (`filter_peers`)
/waiting                     how much waits for a block at this member, and what it refused: `WaitingFigures`
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.core.members import Member

PEER_FILTER: Final = "/p2p/filter/"
WAITING: Final = "/waiting"


def check_query(path: str, members: Iterable[Member], first_peers: Container[str] = ()) -> None:
    """Whether the answer to a query is yes.

    Args:
        path: Of the query.
        members: The registry, which names the engines that may be peers.
        first_peers: Node ids of further engines that may: before there is a registry here.

    Raises:
        Refused: `Code.FORBIDDEN` for an engine that may not, `Code.NOT_FOUND` for another path.
    """
    if not path.startswith(PEER_FILTER):
        raise Refused(Code.NOT_FOUND, "There is no such query.")
    kind, _, name = path.removeprefix(PEER_FILTER).partition("/")
    if kind == "addr":
        return
    is_known = name in first_peers or any(name in one.node_ids for one in members if one.is_current)
    if kind != "id" or not is_known:
        raise Refused(Code.FORBIDDEN, "No member of the league has an engine with this node id.")
