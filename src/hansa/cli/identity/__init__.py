"""What the commands about logins do: clients of the OpenID Provider, and who is kept out."""
