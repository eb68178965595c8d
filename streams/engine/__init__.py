"""What makes Faust safe and fast: the batch is the event."""
