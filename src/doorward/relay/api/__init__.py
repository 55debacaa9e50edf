"""The relay's routes: wire structs in, use case, wire structs out. One file per group of the protocol.

    GET    /health, /.well-known/oauth-{authorization-server,protected-resource}   metadata
    GET    /, /docs, /openapi.json                                                 documentation
    GET    /v1/environments                                                        client     (account)
    POST   /v1/client/environment-link-challenges, /v1/client/environment-links    client     (account)
    DELETE /v1/client/environment-links/{environmentId}                            client     (account)
    DELETE /v1/client/environment-links/{environmentId}/tunnel                     recovery   (account)
    POST   /v1/environments/{environmentId}/tunnel[/recovery]                      recovery   (environment credential)
    GET    /v1/client/devices, /v2/client/devices                                  devices    (account)
    *      /v1/client/browsers[/{deviceId}]                                        devices    (account)
    *      /v1/mobile/devices[/{deviceId}], /live-activities, /agent-activity      mobile     (DPoP)
    POST   /v1/environments/{environmentId}/threads/{threadId}/agent-activity      activity   (environment credential)
    POST   /v1/client/dpop-token                                                   token      (proof + subject token)
    POST   /v1/environments/{environmentId}/connect, /status                       connect    (DPoP)
    *      /v1/environments/{environmentId}/services[/{name}]                      services   (environment credential)

`guards` authenticate, `proofs` use up what DPoP proved, `refusals` turn the rooms' exceptions into the protocol's errors. Decides nothing itself.
"""
