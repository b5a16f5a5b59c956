"""What the endpoints of the OpenID Provider do, whatever carries the requests."""
