"""Messages to the payment worker: stored with the order, published to SQS, sent again if lost."""
