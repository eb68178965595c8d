"""Decides whether a stage refuses so much, for reasons of its own making, that it is to wait for an operator."""
