"""What all layers share: leaf modules that import nothing of the other packages.

A module for each, by what it is about:

    entities      canonical (RFC 8785 and hashlinks), identifiers, instants, bounded_json, patterns,
                  closed_json (exactly canonical JSON of strangers)
    the league    events (lifecycle events), members, keys, jws, curve_points, merkle
    callers       access (who calls and what they may), policies, distribution (what is published), http
    errors        errors (the tree and its codes), error_response
    resources     clock and entropy (time and randomness as parameters), limits, cache, backoff, signal,
                  batching
"""
