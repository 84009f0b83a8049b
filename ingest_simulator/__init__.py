"""A stateful double of the vendors' HTTP APIs, served on loopback for tests, benches and demos.

It shares no code with the clients it is used to check.
"""
