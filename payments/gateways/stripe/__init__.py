"""Stripe. `client` calls it, and `web` is what pages and webhooks need of it."""
