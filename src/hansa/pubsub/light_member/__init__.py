"""A light member: no engine and no ledger application, and a ledger that was verified all the same.

    wire       what is requested of the members that are followed, and how they judge a submission
    followed   one member that is followed: its answers within bounds, and its behavior
    trust      the light block that is trusted: where it begins, how it advances, when it is too old
    mirror     the ledger's state in a file of its own, made of parts that were verified
    beginning  with a snapshot of a member, where the league has a long history
    following  the loop: who is ahead, verify, write; whoever lies, withholds or is late
    submitting transactions through one followed member after another
    retaining  light blocks for receipts, which others request of this member
    bus        the `Bus` of it

                    ┌────────── headers of all, compared ──────────┐
    member A ──┐    │                                              ▼
    member B ──┼─▶ newest header ─▶ verified (>2/3, trust) ─▶ app_hash
    member C ──┘                                                   │ equal?
       │                                                           ▼
       └── parts of the state, batches of events ─▶ trees ─▶ root ─┴─▶ written, readers are woken

Nothing is written before the root over all of it is the `app_hash` of a header that more than 2/3 of trusted
voting power signed: the events, the claims, the members, the limits, everything that members have decided. So
whatever is read of a light member's ledger was verified, and reading it has no case of its own.

Failure. As long as one followed member is honest and answers, the light member goes on: a member whose parts
do not hold is left alone for a while, and the next one is asked. One that gives an older state than others is
late; one that shows a header whose events it does not give, or takes a transaction that is in no block after
`SUBMISSION_PATIENCE_S`, withholds. When nobody answers, what is there is served, and the condition says so.
Two valid headers of one height are a fork: both are retained, and nothing is trusted after it.
"""
