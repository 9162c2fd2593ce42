"""Messages to users by Telegram: the bot and its client, linked chats, templates, what goes out and its log. What
happened is announced by the rooms in which it does."""
