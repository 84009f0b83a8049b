"""`ingest-assets`: a thin skin over plain functions, a module for each topic.

Exit codes: 0 done or nothing to be done, 1 a sync did not succeed, 2 the request or the environment cannot be used
(were it only for one of many accounts).
"""

CANNOT = 2  # the request cannot be carried out as it stands
