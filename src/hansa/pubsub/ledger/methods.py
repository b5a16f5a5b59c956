"""ABCI 2.0 methods: each request's message to the ledger application, its answer to a response's message.

Codes, data and gas of a transaction's result are part of consensus; `log` is for people and is not. Vote
extensions are not enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from structlog.typing import FilteringBoundLogger

from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.ledger.application import LedgerApplication
from hansa.pubsub.ledger.commitments.stored import ValidatorRecord
from hansa.pubsub.ledger.messages import PACKAGE, Request, Response, enum_values, message_class
from hansa.pubsub.ledger.pruning import RETAIN_ALL, Pruning, PruningRules
from hansa.pubsub.ledger.queries import WAITING, check_query
from hansa.pubsub.ledger.results import CODESPACE, QUERY_NUMBERS, RuleBroken
from hansa.pubsub.ledger.rules.rulesets import NEWEST, RULESETS, rules_digest
from hansa.pubsub.ledger.snapshots.methods import snapshot_methods
from hansa.pubsub.ledger.state_machine import Block
from hansa.pubsub.ledger_records import Misbehavior

PUBLIC_KEY_FIELDS: Final = {32: "ed25519", 1952: "mldsa65"}
"""Of `tendermint.crypto.PublicKey`, by the size of the key."""
LOG_LENGTH_MAX_CHARS: Final = 300
FAULTS_LOGGED_MAX: Final = 10

_Method = Callable[[Any], Any]


class AbciMethods:
    """Answers requests, one at a time."""

    def __init__(
        self,
        application: LedgerApplication,
        clock: Clock,
        logger: FilteringBoundLogger,
        pruning: PruningRules = RETAIN_ALL,
        first_peers: frozenset[str] = frozenset(),
    ) -> None:
        """Answer for an application.

        Args:
            application: What decides.
            clock: Judges what may wait.
            logger: Gets what the operator should know.
            pruning: Which of its blocks the engine may forget.
            first_peers: Node ids of the engines that may be peers before the ledger has begun here.
        """
        self._first_peers = first_peers
        self._application = application
        self._pruning = Pruning(pruning)
        self._clock = clock
        self._logger = logger
        statuses = enum_values(f"{PACKAGE}.ResponseProcessProposal.ProposalStatus")
        self._recheck = enum_values(f"{PACKAGE}.CheckTxType")["RECHECK"]
        self._accept, self._reject = statuses["ACCEPT"], statuses["REJECT"]
        self._misbehavior_kinds = {
            number: name.lower() for name, number in enum_values(f"{PACKAGE}.MisbehaviorType").items()
        }
        self._faults = 0
        self._methods: Mapping[str, _Method] = {
            "echo": lambda request: self._message("ResponseEcho", message=request.message),
            "flush": lambda _: self._message("ResponseFlush"),
            "info": self._info,
            "init_chain": self._init_chain,
            "query": self._query,
            "check_tx": self._check_tx,
            "commit": self._commit,
            "prepare_proposal": self._prepare_proposal,
            "process_proposal": self._process_proposal,
            "finalize_block": self._finalize_block,
            **snapshot_methods(application.snapshots, application.begin_at_snapshot),
        }

    def answer(self, request: Any) -> Any:
        """The `Response` to a `Request`.

        Raises:
            Fatal: the application cannot go on; nothing was answered.
        """
        name = request.WhichOneof("value")
        method = self._methods.get(name)
        if method is None:
            error = self._message("ResponseException", error=f"{name} is not supported")
            return Response(exception=error)
        return Response(**{name: method(getattr(request, name))})

    def _message(self, name: str, **fields: Any) -> Any:
        return message_class(f"{PACKAGE}.{name}")(**fields)

    def _info(self, request: Any) -> Any:
        del request
        state = self._application.state
        ruleset = NEWEST.name if state.is_empty else state.ruleset
        return self._message(
            "ResponseInfo",
            data=ruleset,
            version=rules_digest(ruleset),
            app_version=RULESETS[ruleset].app_version,
            last_block_height=0 if state.is_empty else state.head.height,
            last_block_app_hash=b"" if state.is_empty or not state.head.height else state.head.app_hash,
        )

    def _init_chain(self, request: Any) -> Any:
        if request.initial_height > 1:
            raise Fatal(
                Code.SETTINGS_INVALID, "A ledger begins at height 1; the genesis document says otherwise."
            )
        validators = {
            getattr(one.pub_key, one.pub_key.WhichOneof("sum")).hex(): int(one.power)
            for one in request.validators
        }
        app_hash = self._application.init_chain(
            request.app_state_bytes, _milliseconds(request.time), validators
        )
        self._logger.info(
            "chain_initialized", chain_id=request.chain_id, members=len(self._application.state.members)
        )
        # The genesis decides on the rules, and so on the version in the headers, whatever `Info` said before.
        version = self._version(self._application.state.ruleset)
        return self._message("ResponseInitChain", app_hash=app_hash, consensus_params=version)

    def _query(self, request: Any) -> Any:
        if request.path == WAITING:
            figures = self._application.waiting_figures()
            return self._message("ResponseQuery", value=msgspec.json.encode(figures))
        try:
            state = self._application.state
            check_query(request.path, state.members, self._first_peers if state.is_empty else ())
        except Refused as refusal:
            return self._message("ResponseQuery", **_refused(refusal))
        return self._message("ResponseQuery")

    def _check_tx(self, request: Any) -> Any:
        try:
            now_ms = epoch_ms(self._clock)
            self._application.check_tx(request.tx, now_ms, is_recheck=request.type == self._recheck)
        except Refused as refusal:
            self._note_fault(refusal)
            wait_ms = refusal.wait_ms if isinstance(refusal, RuleBroken) else 0
            data = b"%d" % wait_ms if wait_ms else b""
            return self._message("ResponseCheckTx", data=data, **_refused(refusal))
        return self._message("ResponseCheckTx")

    def _prepare_proposal(self, request: Any) -> Any:
        transactions = self._application.prepare_proposal(
            request.txs, _milliseconds(request.time), request.max_tx_bytes
        )
        return self._message("ResponsePrepareProposal", txs=transactions)

    def _process_proposal(self, request: Any) -> Any:
        block = self._block(request)
        refusal = self._application.process_proposal(block)
        if refusal is not None:
            self._note_fault(refusal)
            self._logger.warning(
                "proposal_rejected",
                height=request.height,
                proposer=request.proposer_address.hex(),
                code=refusal.code,
                reason=refusal.message[:LOG_LENGTH_MAX_CHARS],
            )
        status = self._accept if refusal is None else self._reject
        return self._message("ResponseProcessProposal", status=status)

    def _finalize_block(self, request: Any) -> Any:
        block = self._block(request)
        effects = self._application.finalize_block(block)
        before, ruleset = self._application.state.ruleset, effects.trees.sections.ruleset
        results = [
            self._message("ExecTxResult", **({} if refusal is None else _refused(refusal)))
            for refusal in effects.refusals
        ]
        for misbehavior in effects.misbehavior:
            self._logger.error("validator_misbehaved", **msgspec.structs.asdict(misbehavior))
        return self._message(
            "ResponseFinalizeBlock",
            tx_results=results,
            app_hash=effects.head.app_hash,
            validator_updates=[self._validator_update(one) for one in self._new_powers(effects.validators)],
            consensus_param_updates=None if ruleset == before else self._version(ruleset),
        )

    def _version(self, ruleset: str) -> Any:
        """The engine's parameters with the number of a rule set, as the headers of its blocks have it."""
        params, version = (
            message_class(f"tendermint.types.{name}") for name in ("ConsensusParams", "VersionParams")
        )
        return params(version=version(app=RULESETS[ruleset].app_version))

    def _new_powers(self, validators: Sequence[ValidatorRecord]) -> list[ValidatorRecord]:
        """Those whose power is another than before the block, in the order of their addresses.

        The engine fails when it has to remove a validator that it does not have.
        """
        before = self._application.state.validators
        return [
            one
            for one in sorted(validators, key=lambda one: one.address)
            if one.power != (before[one.address].power if one.address in before else 0)
        ]

    def _block(self, request: Any) -> Block:
        misbehavior = tuple(self._misbehavior(evidence) for evidence in request.misbehavior)
        return Block(request.height, _milliseconds(request.time), tuple(request.txs), misbehavior)

    def _misbehavior(self, evidence: Any) -> Misbehavior:
        kind = self._misbehavior_kinds.get(evidence.type, "unknown")
        return Misbehavior(evidence.validator.address.hex(), int(evidence.height), kind)

    def _validator_update(self, validator: ValidatorRecord) -> Any:
        public = bytes.fromhex(validator.public_key)
        key = message_class("tendermint.crypto.PublicKey")(**{PUBLIC_KEY_FIELDS[len(public)]: public})
        return self._message("ValidatorUpdate", pub_key=key, power=validator.power)

    def _note_fault(self, refusal: Refused) -> None:
        """Log the first faults of this software, and only those, since strangers may cause them."""
        if refusal.code is not Code.INTERNAL:
            return
        self._faults += 1
        if self._faults <= FAULTS_LOGGED_MAX:
            self._logger.error("transaction_fault", number=self._faults, exc_info=refusal.__cause__)

    def _commit(self, request: Any) -> Any:
        del request
        self._application.commit()
        first = self._pruning.first_retained(self._application.state)
        return self._message("ResponseCommit", retain_height=first)


def _refused(refusal: Refused) -> dict[str, Any]:
    return {
        "code": refusal.rule.number if isinstance(refusal, RuleBroken) else QUERY_NUMBERS[refusal.code],
        "codespace": CODESPACE,
        "log": refusal.message[:LOG_LENGTH_MAX_CHARS],
    }


def _milliseconds(timestamp: Any) -> int:
    return int(timestamp.seconds) * 1000 + int(timestamp.nanos) // 1_000_000


def parse_request(raw: bytes) -> Any:
    """A `Request` from its bytes. Raises `google.protobuf.message.DecodeError`."""
    return Request.FromString(raw)
