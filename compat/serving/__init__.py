"""What stands between the network and the app: the HTTP server, its processes and their connections. What a request
means: :mod:`compat.dispatcher`."""
