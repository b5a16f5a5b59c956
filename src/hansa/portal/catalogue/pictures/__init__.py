"""Pictures of offerings: fetched from members alone, decoded within bounds, and encoded anew."""
