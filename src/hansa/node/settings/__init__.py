"""The settings of a marketplace: schema, loading, and what each limit means."""
