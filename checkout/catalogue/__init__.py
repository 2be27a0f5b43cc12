"""What is sold: products, prices, stock and money."""
