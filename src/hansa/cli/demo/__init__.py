"""`hansa demo`: a league on this machine; its processes, its sample data, and its live view."""
