"""`/league/v1/audit`: the audit log of this marketplace, for its operators."""
