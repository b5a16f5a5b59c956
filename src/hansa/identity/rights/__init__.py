"""Rights: who may read and write which entities, by Cedar policies.

`parties` says to whom an entity belongs, `resources` and `requests` what policies see of entities and
callers. `policies` are the shipped defaults (`default.cedar`) with the operator's own files, and `watch`
adopts changes of these. `deciding` is the `hansa.core.access.Authorize` of a marketplace, and `decision_log`
records what it decided.

Roles of a caller that acts for an organisation give it no rights, but for operators: an organisation's people
have the rights that the policies give, and a token of the operator those of its roles.
"""
