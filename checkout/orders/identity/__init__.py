"""What names an order outside of its database: to the gateway and on the queue."""
