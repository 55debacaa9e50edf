"""Webhooks: telling other servers what changed here, in Clerk's events and with Svix's signatures.

An event is queued in the transaction of the change it tells of, once for each endpoint that asked for its kind: what was
committed is told, what was rolled back never was. A background job on any number of nodes sends what is due, at least
once and in no promised order, and writes down what came of every attempt.

    kinds    every kind of event there is
    outbox   queueing one, inside another service's transaction
    events   what happened to users and sessions, as events
    json_text  JSON as JavaScript writes it, so that a body survives being parsed and written again
    rules    which endpoint wants what, when it is tried again, when it is given up (pure)
    signing  Svix's signatures (pure)
    endpoints, deliveries   rows
    service  endpoints and their log, for whoever administers them
    deliverer  the background job

No routes. Neighbours: every service that changes something calls `outbox` or `events`; `doorward.outbound` sends.
"""
