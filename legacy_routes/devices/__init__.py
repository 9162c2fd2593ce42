"""Events and messages for set-top boxes. Texts to phones and mailboxes: :mod:`legacy_routes.messages`."""
