"""What tests are written with: shoppers, tills, orders, and the shop's own processes."""
