"""What goes to one portal server and comes back: requests with their time, answers, values, what is safe in a path.
Which calls are made: :mod:`core.portal`."""
