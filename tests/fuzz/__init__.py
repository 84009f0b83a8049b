"""Mutated payloads for every parser of what others send, with bounds on time, memory and output.

    make fuzz N=100000 [ONLY=slack_messages] [SEED=1]

corpus     payloads as the vendors send them
mutations  what is done to a JSON value
mail       HTML and MIME trees, made by their grammar
parsers    name -> how an input is made, and how the product parses it
running    inputs through a parser in a process of its own, which is watched
cases      findings that became tests
"""
