"""Light blocks and receipts: what of the ledger can be verified without an engine.

    chain      headers, commits and validator sets, and how they follow from one another; pure
    captured   the file of light blocks that a member retains
    capturing  taken from the engine before it forgets them
    proxy      what light clients and state sync request of the engine's RPC
    remote     light blocks of other members
    client     follows the chain through several of them: bisection, trust period, witnesses, forks
    filling    gaps in what is retained, from others
    comparing  checkpoints with other members
    auditing   that nothing was removed, reordered or rewritten
    receipts   the proof of an event in one file, and how it is verified
    making     how receipts are made
    histories  by which keys members signed, and where they served, at which positions
    genesis    what a genesis says to a verifier
    service    all of it together, for the node

A header of height H + 1 has the application hash of the state after block H. Whoever trusts the header can
therefore check everything that the application hash commits to.
"""
