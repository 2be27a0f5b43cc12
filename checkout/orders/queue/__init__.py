"""The Amazon SQS FIFO queue that carries the messages, and its dead-letter queue."""
