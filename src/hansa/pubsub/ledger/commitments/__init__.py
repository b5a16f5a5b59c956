"""What `app_hash` commits to, and the proofs against it.

    app_hash    the sections of the state, and the root over them
    claims      the latest version of every entity: 65,536 buckets under a tree; proofs of the latest version,
                and of a key that is unknown
    tiles       the tree over the events, stored in tiles of 256 hashes; inclusion and consistency proofs
    records     small sections of keyed records: registry, issuers, validators, misbehavior
    histories   which keys and endpoints members had at which positions
    levels      the tree in memory under claims and records
    state_trees all of them together

The trees are those of RFC 6962 (`hansa.core.merkle`). All of it is pure: what a block changes is computed as
an update, which is applied when the block is committed.
"""
