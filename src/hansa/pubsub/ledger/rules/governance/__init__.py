"""How the members of a league decide: senders, proposals, votes, voting power, history, agenda.

    senders      who sends, in which order, how much
    tally        counts votes, and closes proposals
    powers       voting power, and what must hold of it
    history      what is unique over all history, and where and by which keys members were known when
    membership   a member's status and keys change, it leaves
    agenda       what happens at a height or a time by itself
    founding     the begin of all this

The kinds of transactions are `hansa.pubsub.ledger.rules.propose`, `vote` and `statement`; the kinds of
changes are in `hansa.pubsub.ledger.rules.changes`. What is stored:
`hansa.pubsub.ledger.commitments.governance`.
"""
