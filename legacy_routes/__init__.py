"""The wire: a room per business area, whose modules read the call, ask core and shape the answer. How PHP speaks in
general: compat."""
