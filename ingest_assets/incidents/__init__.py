"""Incidents: one row per cause, over all workspaces, told once each time that it opens, grows worse or ends.

causes      the table: who has to act, from which age on, the command that mends it, what to tell the customer
look        one statement over health opens, escalates and closes (`storage.incidents`)
deliver     messages to their receivers: claimed, sent, noted; tried again with growing pauses
receivers   a Slack webhook, a signed webhook, SMTP
message     what is told
"""
