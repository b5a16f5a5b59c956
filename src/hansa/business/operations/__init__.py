"""What can be done with entities: read one, list, create, change, delete, carry out a task.

An operation takes identifiers, queries and drafts together with a `Grant` of the caller, and returns
entities, pages and results; what it refuses it raises as `hansa.core.errors.Refused`. It knows nothing of
HTTP, so that a page, a job or another version of the APIs calls the same one:

    operations = ApiOperations(api, context)["ProductOffering"]
    scope = await operations.read.scope(caller)
    entity = await operations.read.one(scope, "urn:ngsi-ld:product-offering:…")
    result = await operations.create.one(operations.create.authorize(caller), {"name": "Backup"})

Grants come from the operation itself (`authorize`, `scope`), which asks `hansa.core.access.Authorize`.
"""
