"""The list of accounts and its blocks, kept encoded. Single rows: :mod:`core.accounts.rows`."""
