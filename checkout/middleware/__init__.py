"""What is done to every request, before and around its view."""
