"""What leaves the shop and what comes back: parcels, returns, and what will never be sent."""
