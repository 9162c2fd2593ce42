"""Push notices to browsers: keys, subscriptions, sending. What happened is announced by the rooms in which it does."""
