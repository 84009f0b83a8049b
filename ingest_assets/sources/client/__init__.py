"""What all vendors' clients share; a client adds its addresses, its methods and the meaning of its errors.

    a client's verb -> retried -> Session.send (refresh once) -> RateLimiter.slot -> HTTP, bounded -> parse_json

method      what a client's table says of a method: whom its failure concerns, cost, limit
clock       how far our clock is ahead of the vendor's
headers     Retry-After and RateLimit-*, in whichever form
retry       the one retry loop
rate_limit  at most so many requests, or units, in a stretch of time; a 429 holds the limiter
session     the access token in use, replaced once when the vendor refuses it
paging      page cursors, with guards; numbered pages, whose borders are looked at twice
halving     requests for many ids, of which one spoils the answer
http        requests and answers: bounded in size and depth, redirects not followed
"""
