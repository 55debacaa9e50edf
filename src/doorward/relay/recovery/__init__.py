"""Tunnels that come and go while their link stays: released at shutdown, brought back by the environment.

Routes: `DELETE /v1/client/environment-links/{id}/tunnel` (the account), `POST /v1/environments/{id}/tunnel/recovery` and
`POST /v1/environments/{id}/tunnel` (the environment's credential and a proof by its link key). The names never
change: clients keep the URLs they know. Neighbours: `endpoints` (what a tunnel is), `links` (whose it is).
"""
