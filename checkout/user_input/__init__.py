"""What people type: read strictly, and freed of card numbers. Nothing here imports other rooms."""
