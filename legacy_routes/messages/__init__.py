"""Messages to people: text messages, mail, Telegram, push notices and expiry reminders, one module a channel."""
