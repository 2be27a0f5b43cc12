"""What operators and cron do with orders and what belongs to them."""
