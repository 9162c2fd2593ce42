"""Push notices to browsers: keys, subscriptions, sending."""
