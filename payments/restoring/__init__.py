"""After a backup was restored: what the gateways know of the lost time is taken over."""
