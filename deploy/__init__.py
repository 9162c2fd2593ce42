"""What a machine needs around the server: recipes for web servers, WSGI servers, systemd and containers, and the
templates, filled in by ``cron install``, of what stands in for PHP in existing crontabs."""
