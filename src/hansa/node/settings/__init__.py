"""The settings of a marketplace: schema, loading, how they are written, and what each limit means."""
