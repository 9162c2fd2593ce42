"""Balances and the rows of the ledger. Payments of resellers: :mod:`core.payments`."""
