"""What the OpenID Provider signs, how it is bound to keys, and how it ends."""
