"""Subscriber accounts: listing, adding, changing, removing, and their operations on the portals."""
