"""`/league/v1/writes`: writes that other members forward, and monitors of those that wait here.

POST /league/v1/writes        a write to an entity of ours, of a member for one of its callers
GET  /league/v1/writes/{id}   what became of a write that was queued, for the caller whose it is
"""
