"""Plans, their choice for an account, tariffs and currencies. Selling: :mod:`core.accounts`."""
