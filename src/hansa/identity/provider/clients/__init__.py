"""The clients of the OpenID Provider: who they are, where they are registered, and how they prove it."""
