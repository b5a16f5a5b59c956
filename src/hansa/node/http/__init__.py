"""The HTTP server of a marketplace: where every request of the life of one change arrives.

`server` is uvicorn with our protocol class, `front_door` hands a request to the TM Forum APIs or to the
routes of `hansa.api`, `hansa.portal` and the node itself (`own_routes`, assembled in `application`),
`fast_path` writes a complete response at once, `traffic` counts.
"""
