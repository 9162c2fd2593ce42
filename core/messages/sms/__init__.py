"""Text messages: settings, templates, sending, log. Sending each at most once: :mod:`core.messages.delivery`."""
