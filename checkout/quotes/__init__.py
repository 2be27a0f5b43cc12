"""What a purchase costs: goods, discount, delivery and tax."""
