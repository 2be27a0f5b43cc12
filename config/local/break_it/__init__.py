"""The page of the demo on which anybody breaks the shop, and sees what becomes of it."""
