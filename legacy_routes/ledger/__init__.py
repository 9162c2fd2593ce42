"""The ledger: reading it, rows by hand, corrections. Payments of resellers: :mod:`legacy_routes.payments`."""
