"""Runs a stage's job on Kafka through Faust: a batch of records is one event."""
