"""`ingest-assets find`: where an item is, or why it is not here.

command  the command, and how what was found is printed
text     what a person gave: ids and addresses of sources, or words
places   the rows that are stored
reasons  why an item is not stored, account by account
asking   whether the vendor shows it (`--ask`)
"""
