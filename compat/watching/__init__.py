"""What operators see of the server: log lines with the id of their request, the access line, and metrics. Who was
refused what: :mod:`compat.guards`."""
