"""Clients (Clerk's word for one browser): the `__client` cookie and what it stands for.

Owns `identity_clients`. A client is made by the first request that changes something; its cookie carries a rotating
token that changes at every sign-in, so a cookie planted before cannot ride along (session fixation). Neighbours:
`sessions` hang on a client; `visits` reads the cookie of a request and writes it on a response.
"""
