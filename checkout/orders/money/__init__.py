"""What happened to the money of an order, and the sentences that follow from that alone."""
