"""Mail: settings, message, outbox, the expiry sweep."""
