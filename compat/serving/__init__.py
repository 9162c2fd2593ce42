"""What stands between the network and the app: the HTTP server, its processes and their connections."""
