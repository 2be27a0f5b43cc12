"""The ground floor: what every long-running process has. Nothing here knows what is sold."""
