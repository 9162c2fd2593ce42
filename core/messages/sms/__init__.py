"""Text messages: settings, templates, sending, log."""
