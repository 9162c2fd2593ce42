"""What stands in for PHP in existing crontabs, as templates that ``cron install`` fills in."""
