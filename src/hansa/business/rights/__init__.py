"""Rights to entities: what an `EntityRule` says, brought to what is read and written.

`targets` describes collections to whoever decides. `organizations` finds what an organisation is called here.
`bound` is a rule with that: it checks entities, and is a condition of lists. `reading` decides about entities
of any collection that one answer shows, and `guarding` about what a write finds and leaves.
"""
