"""`hansa demo`: a league on this machine."""
