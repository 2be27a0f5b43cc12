"""The admin site: who may sign in, and what a form of it saves."""
