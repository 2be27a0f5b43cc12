"""One order and its money: asking the gateway, and recording what it says."""
