"""The pages of one order: what is going on with it, and what its customer may do."""
