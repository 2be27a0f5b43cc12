"""What an order holds of the stock, and giving it back."""
