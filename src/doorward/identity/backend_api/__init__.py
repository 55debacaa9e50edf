"""Clerk's Backend API under `/api`: routes and wire shapes, nothing else. Who may ask is decided by the key they hold.

    operations   what an operation is: method, path, who may call it, its query, body and answer as types
    callers      from `Authorization` to a caller: an instance (secret key) or a machine
    reading      query and body into those types, with Clerk's errors
    token_errors refusals of the family without version: M2M tokens, API keys, checks of OAuth access tokens
    dispatch     the two URL families, versions, the last handler of errors
    not_offered  what Clerk has there and we do not
    openapi      `/api/openapi.json`, from the same types

One file per resource lists its `OPERATIONS`; `wire/` holds their structs. Every operation is at `/api/v1/…`; those Clerk's
JavaScript SDK asks for without a version (M2M tokens, API keys, the check of OAuth access tokens) are at `/api/…` as well.
Neighbours: the services of each capability do the work; this folder maps their values to wire structs.
"""
