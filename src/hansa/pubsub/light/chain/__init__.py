"""The engine's chain as light clients see it: headers, commits and validator sets, and how they follow.

    header     what a block's header is, and its hash
    validators who may sign, with which power; hash of the set
    blocks     header, commit and validator set of one height: a *light block*; whether the commit is valid
    verifying  whether a light block follows from a trusted one: adjacent, or skipping with a trust level
    forms      light blocks as closed JSON
    rpc_form   light blocks in the JSON of the engine's RPC, as CometBFT's own light client reads them

CometBFT's own encoding is protobuf. What is hashed and signed is written here field by field
(`hansa.pubsub.light.chain.wire`), so that no library decides what a signature covers. Semantics are those of
CometBFT v0.40 (`light/verifier.go`, `types/validation.go`), with these differences, each on the strict side:
every signature of a commit that is present must verify, also beyond 2/3 and of votes for nil; a validator
counts once, whatever a set lists.
"""
