"""What stands between a browser, or a flood of requests, and the endpoints. Who may do what is core.access's."""
