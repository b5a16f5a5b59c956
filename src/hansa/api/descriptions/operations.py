"""What each path of `/league/v1` does, for its description (`hansa.api.descriptions.document`)."""

from __future__ import annotations

from typing import Any, Final

from hansa.api.catalogue import CataloguePage
from hansa.api.descriptions.access_operations import ACCESS_OPERATIONS
from hansa.api.descriptions.confidential_operations import CONFIDENTIAL_OPERATIONS
from hansa.api.descriptions.document import Answer, Link, Operation
from hansa.api.descriptions.light_operations import LIGHT_OPERATIONS
from hansa.api.descriptions.peer_operations import PEER_OPERATIONS
from hansa.api.descriptions.search_operations import SEARCH_OPERATIONS
from hansa.api.descriptions.subscription_operations import SUBSCRIPTION_OPERATIONS
from hansa.api.descriptions.trust_operations import TRUST_OPERATIONS
from hansa.api.descriptions.write_operations import WRITE_OPERATIONS
from hansa.api.events import CLOUD_EVENTS, CloudEvent, EventsPage
from hansa.api.ledger import LedgerReport
from hansa.api.newcomers.bootstrap import Bootstrap
from hansa.api.newcomers.history import OCTETS
from hansa.api.references import UnresolvedReferences
from hansa.api.replicas import (
    RestoreRequest,
    ResyncRequest,
    RetryRequest,
    RetryResponse,
    WithdrawRequest,
    WithdrawResponse,
)
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import JSON
from hansa.core.members import Member
from hansa.pubsub.league.reports import ProposalReport, RegisteredMember
from hansa.pubsub.light_member.wire import SnapshotHeights
from hansa.pubsub.proofs import ClaimsProof, ConsistencyProof, InclusionProof
from hansa.replication.continuity.restoration import RestoredPart
from hansa.replication.continuity.resync import ComparedPart
from hansa.replication.exchange import JSON_LINES, EntitiesRequest, ResponseLine
from hansa.replication.replicas.control import HeadPage, IncompletePage
from hansa.store.tables.heads import HeadState
from hansa.store.tables.publications import LostEntity

EVENT_STREAM: Final = "text/event-stream"
_USUAL: Final = (400, 429, 500)
_OF_THE_LEDGER: Final = (*_USUAL, 503)
_FIRST_KEY: Final = "/events/0/event/entity/key"
_FILTERS: Final = (
    *("after", "from", "type", "issuer", "entity"),
    *("eventEntityType", "lifecycleStatus", "category", "region", "compliance"),
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *SUBSCRIPTION_OPERATIONS,
    *LIGHT_OPERATIONS,
    *CONFIDENTIAL_OPERATIONS,
    Operation(
        "listEvents",
        "/league/v1/events",
        "List committed events",
        "Returns events in the order of the ledger, with the proof that their issuers signed them, a page at a time: "
        "`after` continues where a page ended. With `Accept: application/cloudevents+json` they are CloudEvents 1.0.",
        {
            200: Answer(
                "Events, and how far the ledger was searched.",
                (EventsPage, tuple[CloudEvent, ...]),
                (JSON, CLOUD_EVENTS),
                ("x-scanned-to", "x-last-position"),
                (
                    Link("listEvents", "after", "$response.header.x-scanned-to", "The page that follows."),
                    Link("retrieveEntity", "id", f"$response.body#{_FIRST_KEY}", "The entity of an event."),
                    Link("retrieveClaimsProof", "key", f"$response.body#{_FIRST_KEY}", "Its latest version."),
                    Link(
                        "retrieveInclusionProof",
                        "position",
                        "$response.body#/events/0/position",
                        "Its place on the ledger.",
                    ),
                ),
            )
        },
        _OF_THE_LEDGER,
        parameters=(*_FILTERS, "to", "limit"),
    ),
    Operation(
        "followEvents",
        "/league/v1/events/stream",
        "Follow committed events",
        "Sends events as server-sent events as they are committed. The `id` of each is its position; a client that "
        "reconnects with `Last-Event-ID` misses none. The AsyncAPI document describes the messages.",
        {
            200: Answer(
                "The stream; it ends when the client leaves.",
                media_types=(EVENT_STREAM,),
                headers=("x-accel-buffering",),
            )
        },
        _OF_THE_LEDGER,
        parameters=(*_FILTERS, "Last-Event-ID"),
    ),
    Operation(
        "retrieveHistory",
        "/league/v1/history/{number}",
        "Read a segment of the history",
        "Returns 4,096 events with their signed batches, compressed (zlib), for members that began with a snapshot. A full "
        "segment never changes.",
        {200: Answer("The segment.", media_types=(OCTETS,))},
        (*_OF_THE_LEDGER, 404),
        parameters=("number",),
    ),
    Operation(
        "listSnapshots",
        "/league/v1/snapshots",
        "List snapshots",
        "Returns the heights of the snapshots of the ledger's state that this member has, newest first, for members that "
        "begin without an engine.",
        {200: Answer("The heights.", (SnapshotHeights,))},
        _OF_THE_LEDGER,
    ),
    Operation(
        "retrieveSnapshot",
        "/league/v1/snapshots/{height}",
        "Read the manifest of a snapshot",
        "Returns what a snapshot consists of: the contents of all sections of the state, and size and SHA-256 of each chunk. "
        "Nobody has to trust it: what is made of it has the application hash that was signed, or is of no use.",
        {200: Answer("The manifest.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 404),
        parameters=("snapshotHeight",),
    ),
    Operation(
        "retrieveSnapshotChunk",
        "/league/v1/snapshots/{height}/{index}",
        "Read a chunk of a snapshot",
        "Returns at most 4,000,000 bytes of the state.",
        {200: Answer("The chunk.", media_types=(OCTETS,))},
        (*_OF_THE_LEDGER, 404),
        parameters=("snapshotHeight", "index"),
    ),
    Operation(
        "retrieveGenesis",
        "/league/v1/genesis",
        "Read the genesis",
        "Returns how the ledger begins, byte for byte as every member has it. Compare its SHA-256 with what other members "
        "say, by other means.",
        {200: Answer("The genesis document.", (dict[str, Any],))},
        _OF_THE_LEDGER,
    ),
    Operation(
        "retrieveBootstrap",
        "/league/v1/bootstrap",
        "Read what a newcomer needs",
        "Returns the league's chain id, the SHA-256 of the genesis, the address of this member's engine, and the heights "
        "of the snapshots that it offers.",
        {200: Answer("Where to begin.", (Bootstrap,))},
        _OF_THE_LEDGER,
    ),
    Operation(
        "listLeaves",
        "/league/v1/ledger/leaves",
        "List leaf hashes of the events",
        "Returns the leaf hashes of the ledger's tree after a position, 32 bytes each, one after another, for audits.",
        {200: Answer("Bytes.", media_types=("application/octet-stream",))},
        _OF_THE_LEDGER,
        parameters=("after", "limit"),
    ),
    Operation(
        "listCheckpoints",
        "/league/v1/ledger/checkpoints",
        "List checkpoints",
        "Returns what each block with events, after a height, committed to of them: their number, and the path to the "
        "application hash, a closed JSON each, a line each, for audits. `after` is a height.",
        {200: Answer("JSON Lines.", media_types=(JSON_LINES,))},
        _OF_THE_LEDGER,
        parameters=("after", "limit"),
    ),
    Operation(
        "retrieveReceipt",
        f"{ENTITIES_PATH}/{{id}}/receipt",
        "Read the receipt of an event",
        "Returns the proof that the last event of an entity is on the ledger, which anybody verifies offline with "
        "`hansa verify`; `latest` adds that there is no later version, `absent` shows what the ledger has of a key. An "
        "event's own id does instead of an entity's.",
        {200: Answer("The receipt, a closed JSON.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 404),
        parameters=("id", "latest", "absent", "fromHeight"),
    ),
    Operation(
        "retrieveEntityHistory",
        f"{ENTITIES_PATH}/{{id}}/history",
        "Read the history of an entity with proofs",
        "Returns a receipt of all events of an entity, a hundred at most after a version, and of its latest version.",
        {200: Answer("The receipt, a closed JSON.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 404),
        parameters=("id", "afterVersion", "fromHeight"),
    ),
    Operation(
        "callLight",
        "/league/v1/light/{method}",
        "Read what a light client needs",
        "Answers `status`, `commit`, `validators` and `consensus_params` in the form of the engine's RPC, for light clients "
        "and state sync of CometBFT; no other method.",
        {200: Answer("The result, as JSON-RPC 2.0.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 404),
        parameters=("method", "height", "page", "per_page"),
    ),
    Operation(
        "callLightRpc",
        "/league/v1/light",
        "Call a method as JSON-RPC",
        "The same as JSON-RPC 2.0, one call in a request: this address is a server for CometBFT's light client and for the "
        "`rpc_servers` of its state sync.",
        {200: Answer("The result, or the engine's error.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 413, 415),
        method="post",
        body=dict[str, Any],
    ),
    Operation(
        "listLightBlocks",
        "/league/v1/light/blocks",
        "List light blocks",
        "Returns header, commit and validators of heights that changed the ledger, as far as this member retains them, in "
        "order: a closed JSON each, a line each. `after` is a height.",
        {200: Answer("JSON Lines.", media_types=(JSON_LINES,))},
        _OF_THE_LEDGER,
        parameters=("after", "limit"),
    ),
    Operation(
        "retrieveEntity",
        f"{ENTITIES_PATH}/{{id}}",
        "Read the exact bytes of an entity",
        "Returns a public entity as it is stored, so that its hash can be compared with the hashlink of its event. A "
        "version that is not here any more is answered 410.",
        {
            200: Answer("The entity.", (dict[str, Any],), headers=("ETag",)),
        },
        (*_USUAL, 401, 404, 410),
        access="member",
        parameters=("id", "hl"),
    ),
    Operation(
        "retrieveEntities",
        ENTITIES_PATH,
        "Read many entities",
        "Returns a line for each entity that is requested, in the same order: the exact bytes of that version, or why it "
        "is not here; replicas too, for members that sign the request. With `Accept: application/zlib` they get a bundle of "
        "up to 1,000 entities, which has those that are here.",
        {
            200: Answer(
                "JSON Lines, whose schema is that of a line; or a bundle.",
                (ResponseLine,),
                (JSON_LINES,),
                ("Member-Answer",),
            )
        },
        (*_USUAL, 401, 413, 415),
        method="post",
        access="member",
        body=EntitiesRequest,
    ),
    *PEER_OPERATIONS,
    Operation(
        "listMembers",
        "/league/v1/members",
        "List the members of the league",
        "Returns the registry of the ledger: who is a member, where it is, and which keys speak for it.",
        {
            200: Answer(
                "All members; with `history=true` each with its keys and endpoints.",
                (tuple[Member, ...], tuple[RegisteredMember, ...]),
            )
        },
        _OF_THE_LEDGER,
        parameters=("history",),
    ),
    Operation(
        "retrieveMemberHistory",
        "/league/v1/members/{did}/history",
        "Read the keys and endpoints of a member with proofs",
        "Returns a receipt of the signing keys and endpoints that a member has and had, each with the positions of the "
        "ledger between which it was valid, and of their being all: so whoever has the genesis verifies events that were "
        "signed before a key was replaced, or by a member that joined later or has left.",
        {200: Answer("The receipt, a closed JSON.", (dict[str, Any],))},
        (*_OF_THE_LEDGER, 413),
        parameters=("memberDid", "fromHeight"),
    ),
    Operation(
        "listProposals",
        "/league/v1/proposals",
        "List what the members decide",
        "Returns proposals, open ones first, the newest first: what each would change, what it needs, and who has voted. "
        "Closed ones are there for a while, with `state=all`.",
        {200: Answer("Proposals.", (tuple[ProposalReport, ...],))},
        _OF_THE_LEDGER,
        parameters=("proposalState", "limit"),
    ),
    Operation(
        "retrieveProposal",
        "/league/v1/proposals/{name}",
        "Read a proposal",
        "Returns a proposal by its hash, four signs or more of the beginning of it, or the id that its proposer gave it.",
        {200: Answer("The proposal.", (ProposalReport,))},
        (*_OF_THE_LEDGER, 404, 409),
        parameters=("proposalName",),
    ),
    Operation(
        "retrieveLedger",
        "/league/v1/ledger",
        "Read the state of the ledger",
        "Returns height, newest position, application hash and validators, as this member sees them.",
        {
            200: Answer(
                "The state.",
                (LedgerReport,),
                links=(
                    Link(
                        "retrieveConsistencyProof",
                        "size",
                        "$response.body#/position",
                        "Later: that the ledger was only prolonged since.",
                    ),
                ),
            )
        },
        _OF_THE_LEDGER,
    ),
    Operation(
        "retrieveInclusionProof",
        "/league/v1/ledger/inclusion/{position}",
        "Prove that an event is on the ledger",
        "Returns what shows, with an application hash that validators signed, that an event was committed, and when.",
        {200: Answer("The proof.", (InclusionProof,))},
        (*_OF_THE_LEDGER, 404),
        parameters=("position",),
    ),
    Operation(
        "retrieveConsistencyProof",
        "/league/v1/ledger/consistency/{size}",
        "Prove that the ledger was only prolonged",
        "Returns what shows that an earlier ledger, of so many events, is the beginning of the present one.",
        {200: Answer("The proof.", (ConsistencyProof,))},
        (*_OF_THE_LEDGER, 404),
        parameters=("size",),
    ),
    Operation(
        "retrieveClaimsProof",
        "/league/v1/ledger/claims/{key}",
        "Prove which version of an entity is the latest",
        "Returns what shows which claims there are on the key of an entity, and that there are no others.",
        {200: Answer("The proof.", (ClaimsProof,))},
        _OF_THE_LEDGER,
        parameters=("key",),
    ),
    Operation(
        "listCatalogue",
        "/league/v1/catalogue",
        "List what is public here, without content",
        "Returns identifiers and hashes of all public entities in this marketplace, for comparing members. `after` "
        "continues where a page ended.",
        {
            200: Answer(
                "A part of the catalogue.",
                (CataloguePage,),
                links=(
                    Link("retrieveEntity", "id", "$response.body#/entities/0/id", "An entity of the page."),
                    Link("listCatalogue", "after", "$response.body#/next", "The page that follows."),
                ),
            )
        },
        _USUAL,
        parameters=("afterId", "limit", "entityType"),
    ),
    Operation(
        "listReferences",
        "/league/v1/references",
        "List references to entities that are not here",
        "Returns references of entities in this marketplace whose targets it does not have. Entities of private types "
        "are among those that refer, so it needs a token.",
        {200: Answer("The references.", (UnresolvedReferences,))},
        (*_USUAL, 401, 403),
        access="token",
        parameters=("state", "limit"),
    ),
    Operation(
        "listReplicas",
        "/league/v1/replicas",
        "List what other members published and is not stored here",
        "Returns entities of other members whose newest version is not a replica here, in the order of the ledger, with "
        "the state of each and the reason.",
        {200: Answer("A part of them.", (HeadPage,))},
        (*_USUAL, 401, 403),
        access="operator",
        parameters=("headState", "origin", "after", "limit"),
    ),
    Operation(
        "listLostEntities",
        "/league/v1/lost",
        "List entities of this marketplace that its store has lost",
        "Returns entities that the ledger has of this marketplace and its store does not, as after a backup was restored.",
        {200: Answer("A part of them.", (tuple[LostEntity, ...],))},
        (*_USUAL, 401, 403),
        access="operator",
        parameters=("after", "limit"),
    ),
    Operation(
        "restoreLostEntities",
        "/league/v1/lost/restore",
        "Take entities that the store has lost from other members",
        "Requests the newest versions of some lost entities of this marketplace from the other members, verifies them by "
        "the hashes on the ledger, and stores what holds: `hansa restore --from-league` asks for one part after the other. "
        "It may be repeated at any time.",
        {200: Answer("What came back, and what nobody has.", (RestoredPart,))},
        (*_OF_THE_LEDGER, 401, 403, 413, 415),
        method="post",
        access="operator",
        body=RestoreRequest,
    ),
    Operation(
        "withdrawLostEntities",
        "/league/v1/lost/withdraw",
        "Withdraw entities that are lost for good",
        "Announces lost entities of this marketplace as withdrawn, since nobody has their newest versions, so that older "
        "ones leave the other members.",
        {200: Answer("How many are withdrawn.", (WithdrawResponse,))},
        (*_USUAL, 401, 403, 413, 415),
        method="post",
        access="operator",
        body=WithdrawRequest,
    ),
    Operation(
        "listIncompleteEntities",
        "/league/v1/incomplete",
        "List entities that need others which are not here",
        "Returns replicas that lack something which they need to be usable, as an offering its specification, and entities "
        "of this marketplace that are not announced before what they need is; in the order of their identifiers.",
        {200: Answer("A part of them.", (IncompletePage,))},
        (*_USUAL, 401, 403),
        access="operator",
        parameters=("afterId", "limit"),
    ),
    Operation(
        "retryReplicas",
        "/league/v1/replicas/retry",
        "Have entities of other members requested again",
        "Has entities in the states of the body requested again at once, of all members or of one, of all entities or of one.",
        {200: Answer("How many are requested again.", (RetryResponse,))},
        (*_USUAL, 401, 403, 413, 415),
        method="post",
        access="operator",
        body=RetryRequest,
    ),
    Operation(
        "compareStore",
        "/league/v1/resync",
        "Compare a part of the store with the ledger",
        "Compares a part of the store with the ledger, and repairs on request what differs: `hansa resync` asks for one "
        "part after the other. What is as it should be is left alone, so that every part may be repeated.",
        {200: Answer("What the part has, and what differs.", (ComparedPart,))},
        (*_OF_THE_LEDGER, 401, 403, 413, 415),
        method="post",
        access="operator",
        body=ResyncRequest,
    ),
    Operation(
        "retrieveReplica",
        "/league/v1/replicas/{name}",
        "Read the state of an entity of another member",
        "Returns the newest version of an entity on the ledger, of each member that published its key, and its state here.",
        {200: Answer("The states.", (tuple[HeadState, ...],))},
        (*_USUAL, 401, 403, 404),
        access="operator",
        parameters=("name",),
    ),
    *SEARCH_OPERATIONS,
    *ACCESS_OPERATIONS,
    *TRUST_OPERATIONS,
    *WRITE_OPERATIONS,
)
"""Of every path that the routes of this package have."""
