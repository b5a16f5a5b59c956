"""By which keys members signed, and where they served, at which positions: proved, and used to verify events.

shown   the part `history` of a receipt: records of the ledger's section of that name, and what it proves
keys    the keys of members at positions, from receipts that a marketplace gives and nobody has to believe
"""
