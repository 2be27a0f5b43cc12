"""What operators and cron do with orders, and how processes are watched."""
