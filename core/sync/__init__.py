"""The portal's list of accounts, fetched, compared with ours and stored. Single accounts: :mod:`core.accounts`."""
