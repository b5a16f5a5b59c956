"""Where the bytes of entities come from: their origins, and every other member that has them.

The hash of the event on the ledger decides whether bytes are a version, not who sent them. So whoever has a
version may serve it (`serving`), and whoever needs one may request it of any member: of the origin as long as
that answers, of the others when it does not, has lost the version (`other_members`) or is slow (`hedging`),
and of all at once where very much is missing (`filling`). Which of the others comes first is decided by what
they did before (`ranking`).
"""
