"""Names of exposed services: `<name>.<zone>` leads to one environment's local service.

Routes (all with the environment's credential): `PUT` and `DELETE /v1/environments/{id}/services/{name}`,
`GET /v1/environments/{id}/services`. A name is one row for the whole relay; a freed one stays with its account
for 90 days. Neighbours: `endpoints` (the API hosts of the same zone), `links` (a name works while its link does).
"""
