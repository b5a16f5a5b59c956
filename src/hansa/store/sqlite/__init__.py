"""The catalogue store on SQLite: the engine that marketplaces run on.

`store` implements the interface. The second and the eighth step of the life of one change are
committed here: an entity and its row in the feed, a replica and its provenance. Writes go through `commit`,
lists through `lists`; `database` is the file with its schema and connections. `index_tail` and `totals` are
what lists need beside the tables.
"""
