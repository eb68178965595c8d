"""Sends records of our topics again, into a topic of the reader's own: a plan first, then what it says."""
