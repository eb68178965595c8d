"""`webhooks` -> one topic per message type, without duplicates; see `streams.deliveries.app`."""
