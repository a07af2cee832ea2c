"""HTTP: a route parses its request, calls one operation and serializes the answer. Nothing else happens here."""

#: The modules whose `router` is part of the API, in the order in which their routes are matched.
ROUTERS = ("penstock.server.api.root",)
