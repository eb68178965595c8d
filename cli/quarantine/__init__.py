"""What stands in the quarantine topics, and what an operator decides about it."""
