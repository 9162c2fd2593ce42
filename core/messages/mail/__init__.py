"""Mail: settings, message, outbox, the expiry sweep. Sending each at most once: :mod:`core.messages.delivery`."""
