"""Our books about what the gateway charged and sent back."""
