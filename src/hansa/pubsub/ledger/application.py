"""The ledger application: the state machine, its committed state, and the block between the two.

    init_chain      genesis -> committed state at height 0
    finalize_block  a decided block -> pending effects (in memory)
    commit          pending effects -> committed state (on disk, one transaction)

A crash between `finalize_block` and `commit` loses the pending effects only: the engine then sees that the
application is one block behind and hands it that block again. `finalize_block` always starts from the
committed state, so a block that is finalized twice (the engine restarted, the application did not) has the
same effects as once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.ledger import state_machine
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger.genesis import check_engine_validators, read_app_state
from hansa.pubsub.ledger.results import FAULT
from hansa.pubsub.ledger.rules.rulesets import RULESETS, Ruleset
from hansa.pubsub.ledger.rules.upgrades import Release, is_switch, planned_upgrade
from hansa.pubsub.ledger.snapshots.service import SnapshotService
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.state import BlockEffects
from hansa.pubsub.ledger.state_machine import Block, Proposal
from hansa.pubsub.ledger.transactions import TransactionReader
from hansa.pubsub.ledger.waiting import WaitingFigures, WaitingTransactions


class LedgerApplication:
    """What the engine calls, free of any protocol. Methods have ABCI's names.

    Args:
        state: The committed state.
        rulesets: Those by which it can judge, by name.
        engine: Version of the engine that calls; empty: not known.
        switch_height: Of the block from which on `hansa-ledger/4` judges instead of `hansa-ledger/3`, as all
            operators have set it; 0: none.
        snapshots: Of this ledger; None: none are taken.
    """

    def __init__(
        self,
        state: SqliteState,
        rulesets: Mapping[str, Ruleset] = RULESETS,
        *,
        engine: str = "",
        switch_height: int = 0,
        snapshots: SnapshotService | None = None,
    ) -> None:
        self.state = state
        self._release = Release(tuple(rulesets), engine)
        self._switch_height = switch_height
        self._reader = TransactionReader(rulesets)
        self.snapshots = snapshots
        self.waiting = WaitingTransactions()
        self._refused: Counter[Code] = Counter()
        self._valid: tuple[Block, BlockEffects] | None = None
        """The last proposal that was judged valid, while it may be decided."""
        self._pending: tuple[Block, BlockEffects] | None = None
        self._prepared: tuple[Block, Proposal] | None = None
        """The last block that this member proposed, while the engine may hand it back to be judged."""

    def init_chain(
        self, app_state: bytes, time_ms: int, validators: Mapping[str, int] | None = None
    ) -> bytes:
        """Start from a genesis document's `app_state`; the `app_hash` before the first block.

        Args:
            app_state: Members and limits; JSON.
            time_ms: Of the genesis, milliseconds since 1970.
            validators: Voting power of the engine's validators, by public key in hex; None without engine.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when the document cannot be used, or the engine has other
                validators than the members; `Code.RULES_DIFFER`.
        """
        self._abandon_snapshot()
        document = read_app_state(app_state)
        if validators is None:
            validators = {one.validator_key: one.power for one in document.members if one.validator_key}
        else:
            check_engine_validators(document.members, validators)
        self.state.write_genesis(document, time_ms, validators)
        self._pending = self._valid = self._prepared = None
        self.waiting = WaitingTransactions()
        return self.state.head.app_hash

    def begin_at_snapshot(self) -> None:
        """Go on from the state of a snapshot of others, which has become this ledger's.

        Raises:
            Fatal: `Code.RULES_DIFFER`, when this release cannot judge the block after it.
        """
        self._pending = self._valid = self._prepared = None
        self.waiting = WaitingTransactions()
        self.require_release(self.state.head.height + 1)

    def _abandon_snapshot(self) -> None:
        """The engine goes on by blocks: what it began to restore comes to nothing."""
        if self.snapshots is not None:
            self.snapshots.abandon()

    def check_tx(self, raw: bytes, now_ms: int, *, is_recheck: bool = False) -> None:
        """Let a transaction wait for a block, by this member's clock, or refuse it.

        Args:
            raw: The transaction.
            now_ms: Milliseconds since 1970.
            is_recheck: Whether the engine holds it already, and queries whether it is still valid.

        Raises:
            RuleBroken: the first rule that the transaction breaks.
        """
        try:
            self.waiting.check(self.state, raw, now_ms, self._reader, is_recheck=is_recheck)
        except Refused as refusal:
            if not is_recheck:
                self._refused[refusal.code] += 1
            raise
        except Exception as error:
            self._refused[FAULT.code] += 1
            raise FAULT.broken("This member failed to judge the transaction.") from error

    def waiting_figures(self) -> WaitingFigures:
        """How much waits for a block here, and what was refused since the start."""
        return WaitingFigures(self.waiting.figures(), {str(code): n for code, n in self._refused.items()})

    def prepare_proposal(self, candidates: Iterable[bytes], time_ms: int, size_max_bytes: int) -> list[bytes]:
        """The transactions of a block of that time that this member proposes.

        Args:
            candidates: What the engine holds, in its order. It matters only for what does not wait here.
            time_ms: Of the block.
            size_max_bytes: Of its transactions.
        """
        height = self.state.head.height + 1
        self.require_release(height)
        switches = self._switches_at(height)
        proposal = Proposal(self.state, time_ms, size_max_bytes, self._reader, switches=switches)
        self.waiting.fill(proposal, candidates)
        self._prepared = Block(height, time_ms, tuple(proposal.transactions)), proposal
        return proposal.transactions

    def process_proposal(self, block: Block) -> Refused | None:
        """Why a proposed block must be rejected; None when it is valid."""
        self.require_release(block.height)
        problem = self._switch_problem(block)
        if problem is not None:
            return Refused(Code.UPGRADE_NEEDED, problem)
        verdict = self._judged(block)
        if isinstance(verdict, Refused):
            return verdict
        self._valid = block, verdict
        self.waiting.note_proposed(verdict)
        return None

    def _judged(self, block: Block) -> BlockEffects | Refused:
        """The effects of a proposed block; those of this member's own as it was made, by the same rules."""
        if self._prepared is not None and self._prepared[0] == block:
            return self._prepared[1].effects()
        return state_machine.process_proposal(self.state, block, self._reader)

    def finalize_block(self, block: Block) -> BlockEffects:
        """Execute a decided block; its effects wait for `commit`.

        Execution is a pure function of block and state, so a block that was judged as a proposal has been
        executed.

        Raises:
            Fatal: `Code.STORE_DAMAGED`, when it is not the next block; `Code.UPGRADE_NEEDED`, when it is
                judged by rules that this release does not have, or by others than this member's settings say.
        """
        self._abandon_snapshot()
        committed = self.state.head.height
        if block.height <= committed or (committed > 0 and block.height != committed + 1):
            raise Fatal(
                Code.STORE_DAMAGED,
                f"The engine is at block {block.height}, the ledger's state at {committed}. They belong together: "
                "restore both from one moment, or remove the state so that it is rebuilt.",
            )
        self.require_release(block.height)
        problem = self._switch_problem(block)
        if problem is not None:
            raise Fatal(Code.UPGRADE_NEEDED, problem)
        if self._valid is not None and self._valid[0] == block:
            self._pending = self._valid
        else:
            self._pending = block, state_machine.finalize_block(self.state, block, self._reader)
        return self._pending[1]

    def require_release(self, height: int) -> None:
        """Check that this release has what the block at a height needs.

        Raises:
            Fatal: `Code.UPGRADE_NEEDED`.
        """
        plan = None if self.state.is_empty else planned_upgrade(self.state)
        lacking = None if plan is None or height < plan.height else self._release.lacks(plan)
        if plan is not None and lacking is not None:
            raise Fatal(
                Code.UPGRADE_NEEDED,
                f"By the members' decision the rules {plan.ruleset} judge from block {plan.height} on, and this release "
                f"lacks {lacking}. Install a release that has it; the ledger goes on from there. "
                "docs/operators/upgrade.md says how.",
            )

    def _switches_at(self, height: int) -> bool:
        """Whether the rules change with a block by the operators' agreement."""
        return height == self._switch_height and self.state.ruleset == RULESET_3

    def _switch_problem(self, block: Block) -> str | None:
        """Why the change of rules in a block, or its absence, is not what this member's settings say."""
        actual = is_switch(self.state.ruleset, block.transactions)
        if actual is self._switches_at(block.height):
            return None
        setting = f"ledger_upgrade_height in hansa.toml is {self._switch_height}"
        if actual:
            return (
                f"The league goes on by the rules hansa-ledger/4 from block {block.height} on, and {setting}. If that is "
                f"what its operators agreed on, set ledger_upgrade_height = {block.height}, and restart."
            )
        return (
            f"The league goes on by the rules hansa-ledger/3 at block {block.height}, and {setting}. Set what its "
            "operators agreed on, or remove the setting, and restart."
        )

    def commit(self) -> None:
        """Persist the finalized block.

        Of blocks that were decided without this member, which it executes to catch up, no snapshots are
        taken: the others have them, and it would be far behind by the time they were of use.

        Raises:
            Fatal: `Code.DISK_FULL` or `Code.STORE_DAMAGED`; nothing of the block is written.
        """
        assert self._pending is not None, "a block is finalized before it is committed"
        block, effects = self._pending
        before = self.state.head
        is_following = self._pending is self._valid
        self.state.persist(effects)
        assert self.state.head == effects.head, "the block is the ledger's last"
        self._pending = self._valid = self._prepared = None
        self.waiting.settle(self.state, effects, block.transactions)
        if self.snapshots is not None and is_following:
            self.snapshots.note(before, self.state.head)
