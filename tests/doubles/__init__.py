"""Stand-ins for what the shop talks to: SQS, a gateway, a mail server, networks that break."""
