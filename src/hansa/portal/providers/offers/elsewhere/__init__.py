"""Own entities elsewhere, and as they were.

sights        what the pages need of the league: members that hold a version, and versions on the ledger
seen          which marketplace holds which version of one, and how each is with several
versions      its versions, two of which are compared
differences   what differs between two versions, attribute by attribute
"""
