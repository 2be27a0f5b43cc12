"""How often a visitor may do something."""
