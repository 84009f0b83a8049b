"""A simulated endpoint of OpenAI's Chat Completions, as OpenAI and compatible servers offer it."""
