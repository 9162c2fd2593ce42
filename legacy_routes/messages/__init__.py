"""Messages to people: text messages, mail, Telegram, push notices and expiry reminders, one module a channel.
Set-top boxes by hand: :mod:`legacy_routes.devices`."""
