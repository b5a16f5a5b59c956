"""What the OpenID Provider signs and what it remembers of it: keys, access tokens, ID tokens, families, DPoP."""
