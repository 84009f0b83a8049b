"""`ingest-assets doctor`: everything that may be wrong, one sentence each, with what mends it.

command  the command, and how findings are printed
running  makes the checks, each with a time limit; one that fails is a finding
checks   the table of checks
patient  what the checks look at
"""
