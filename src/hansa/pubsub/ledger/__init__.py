"""The ledger: the deterministic application that the members' engines run together, behind ABCI.

A ledger transaction takes this way: `abci` reads the engine's messages, `methods` answers each of them with
`application`, `state_machine` applies a block, and `rules` decide on each transaction by its kind. `state`
says what a state is, `sqlite_state` stores it, one transaction per block. `queries` answers
those of the engine; everybody else reads the state's file (`reading`). The application runs as a process of
its own (`python -m hansa.pubsub.ledger`), so that load on the web side never slows consensus.
"""
