"""Light client: verifies headers of the engine's chain with nothing but hashes and signatures.

    header     what a block's header is, and its hash
    votes      what a validator signs when it commits a block
    validators who may sign, with which power; hash of the set
    blocks     header, commit and validator set of one height: a *light block*; whether the commit is valid
    verifying  whether a light block follows from a trusted one: adjacent, or skipping with a trust level
    rpc_form   light blocks in the JSON of the engine's RPC, as CometBFT's own light client reads them
    client     follows a chain through several providers: bisection, trust period, witnesses, forks
    receipts   the proof of an event in one file, and how it is verified

A header of height H + 1 has the application hash of the state after block H. Whoever trusts the header can
therefore check everything that the application hash commits to.

CometBFT's own encoding is protobuf. What is hashed and signed is written here field by field
(`hansa.pubsub.light.wire`), so that no library decides what a signature covers. Semantics are those of
CometBFT v0.40 (`light/verifier.go`, `types/validation.go`), with these differences, each on the strict side:
every signature of a commit that is present must verify, also beyond 2/3 and of votes for nil; a validator
counts once, whatever a set lists.
"""
