"""The Slack Web API: its worlds, its methods and its part of the control plane."""
