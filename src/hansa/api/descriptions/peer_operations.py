"""What the paths do that members tell one another by, for their description: `hansa.api.between_members`."""

from __future__ import annotations

from typing import Final

from hansa.api.between_members.peers import ProvedEvidence
from hansa.api.descriptions.document import Answer, Operation
from hansa.replication.announced.bundles import BUNDLE_TYPE, BUNDLES_PATH
from hansa.replication.announced.retained_bundles import BundleList
from hansa.replication.replicas.control import PeerPause
from hansa.replication.sources.peers import FOLLOWED_PATH, FollowerProgress, Peer

_SIGNED: Final = ("Member-Answer",)

PEER_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "pushBundle",
        BUNDLES_PATH,
        "Send the entities that a batch of events announces",
        "Takes the exact bytes of what the calling member announces just now, for a minute: when the events are on the "
        "ledger, nothing has to be requested. A zlib stream of JSON Lines with `key`, `hashlink` and `entity` each; at most "
        "4 MiB, 16 MiB and a hundred times as much decompressed, and 1,000 lines.",
        {204: Answer("They are here until the events are read, or a minute has passed.")},
        (400, 401, 413, 415, 429, 500),
        method="post",
        access="signed",
        octets=BUNDLE_TYPE,
    ),
    Operation(
        "listBundles",
        BUNDLES_PATH,
        "List the bundles that were pushed last",
        "Returns the addresses of the last bundles of this marketplace with events after a position, for members that "
        "missed them.",
        {200: Answer("The first of them.", (BundleList,), headers=_SIGNED)},
        (400, 401, 429, 500),
        access="signed",
        parameters=("after",),
    ),
    Operation(
        "retrieveBundle",
        f"{BUNDLES_PATH}/{{digest}}",
        "Read a bundle",
        "Returns the bundle whose SHA-256 the path names, as long as it is retained and all of it may be served.",
        {200: Answer("The bundle: zlib.", media_types=(BUNDLE_TYPE,), headers=_SIGNED)},
        (400, 401, 404, 429, 500),
        access="signed",
        parameters=("digest",),
    ),
    Operation(
        "listPeers",
        "/league/v1/peers",
        "List the other members",
        "Returns each of the other members as an origin, as a source of entities, and as a follower of this marketplace, "
        "with what speaks against it.",
        {200: Answer("All of them.", (tuple[Peer, ...],))},
        (400, 401, 403, 429, 500),
        access="operator",
    ),
    Operation(
        "listEvidence",
        "/league/v1/peers/{did}/evidence",
        "Read what shows that a member sent wrong bytes",
        "Returns request and signed answer of what a member sent under a hashlink that its bytes do not have, so that it can "
        "be shown to others.",
        {200: Answer("All of it that is retained.", (tuple[ProvedEvidence, ...],))},
        (400, 401, 403, 429, 500),
        access="operator",
        parameters=("memberDid",),
    ),
    Operation(
        "pausePeer",
        "/league/v1/peers/{did}/pause",
        "Pause a member",
        "Requests nothing of the member any more, neither its own entities nor those of others, and sends it nothing, until it "
        "is resumed. What it announces waits; writes to its entities are answered 503. That outlasts a restart.",
        {200: Answer("It is paused.", (PeerPause,))},
        (400, 401, 403, 404, 429, 500),
        method="post",
        access="operator",
        parameters=("memberDid",),
    ),
    Operation(
        "resumePeer",
        "/league/v1/peers/{did}/resume",
        "Resume a member that was paused",
        "Requests again what waits of the member, at once.",
        {200: Answer("It is requested.", (PeerPause,))},
        (400, 401, 403, 429, 500),
        method="post",
        access="operator",
        parameters=("memberDid",),
    ),
    Operation(
        "retrieveFollowerProgress",
        FOLLOWED_PATH,
        "Read how far this marketplace is with the caller's entities",
        "Returns the states here of the entities of the member that signs the request, in numbers, and of those that `key` "
        "names also one by one.",
        {200: Answer("How far it is.", (FollowerProgress,))},
        (400, 401, 429, 500),
        access="signed",
        parameters=("followedKey",),
    ),
)
"""Of the routes of `hansa.api.between_members`."""
