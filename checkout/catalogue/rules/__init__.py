"""What staff decide about prices: tax rates, delivery methods and discount codes."""
