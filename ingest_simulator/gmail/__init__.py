"""A stateful double of the Gmail API and of Google's token endpoint."""
