"""The catalogue's topics in a real Kafka: what is missing, what is there and differs."""
