"""Spans of time as settings and commands write them: `90s`, `10m`, `24h`, `7d`."""

SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
