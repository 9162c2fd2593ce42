"""Messages to people, one room a channel; the channels do not know each other."""
