"""Messages to people, one room a channel; the channels do not know each other. What people send to set-top boxes by
hand: :mod:`core.devices`."""
