"""The Trusted Publish/Subscribe layer: a Byzantine fault tolerant bus of signed lifecycle events.

`bus` is the interface, which replication uses: publish, follow, search, claims. Behind it, `cometbft` with
`ledger_bus` talks to this member's own engine, and `memory` is a bus in one process for tests and simulation.
The fourth step of the life of one change happens at every validator: `engine` (CometBFT) orders ledger
transactions, `ledger` checks each of them before it votes, and applies those that are committed.
"""
