"""What an order holds of the stock, and how pieces come back."""
