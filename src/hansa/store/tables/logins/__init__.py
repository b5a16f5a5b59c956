"""Who is logged in: sessions of browsers, families of refresh tokens, and what was ended before its time.

Whoever reads these tables cannot log in with them: of every secret there is a digest alone.
"""
