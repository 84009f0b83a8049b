"""Conversations in, typed features out: every one with a quote that stands in the transcript."""
