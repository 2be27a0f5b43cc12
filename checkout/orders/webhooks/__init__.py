"""What the shop's other systems are told of orders, and how they catch up."""
