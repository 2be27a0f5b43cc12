"""The HTTP API for apps and other shops: Django REST framework under its own names."""
