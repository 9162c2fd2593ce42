"""Subscriber accounts: listing, adding, changing, removing, and their operations on the portals. What they cost is
decided in :mod:`core.plans` and moved in :mod:`core.ledger`."""
