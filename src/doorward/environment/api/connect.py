"""`/api/connect/*` and `/api/t3-connect/*`: the link and the relay's signed requests (connect-environment §2.5)."""

from doorward.environment.access import Action, NotAllowed, require
from doorward.environment.api.framing import Call, Endpoint, Reply
from doorward.environment.link.proof import sign_link_proof
from doorward.environment.link.rules import require_local_request
from doorward.t3_connect import messages


async def link_proof(call: Call) -> Reply:
    """A proof is signed for the machine's own page alone; whoever asks from elsewhere hears that the origin is wrong."""
    body: messages.LinkProofRequest = call.body
    environment, headers = call.environment, call.request.headers
    if Action.LINK.scope not in call.caller.scopes:
        raise NotAllowed(Action.LINK, "scope_missing")
    require_local_request(
        host=headers.get("host"),
        forwarded_host=headers.get("x-forwarded-host"),
        forwarded_proto=headers.get("x-forwarded-proto"),
        endpoint=body.endpoint,
        origin=body.origin,
    )
    require(call.actor, Action.LINK)
    return Reply(
        sign_link_proof(
            environment.keys.link_key(),
            challenge=body.challenge,
            relay_issuer=body.relay_issuer,
            descriptor=environment.descriptor,
            endpoint=body.endpoint,
            origin=body.origin,
            now=environment.clock(),
        )
    )


async def relay_config(call: Call) -> Reply:
    status = await call.environment.link.apply(call.actor, call.body)
    call.environment.reconciler.trigger(only_names=True)
    return Reply(messages.RelayConfigResponse(ok=True, endpoint_runtime_status=status))


async def link_state(call: Call) -> Reply:
    return Reply(call.environment.link.state(call.actor))


async def unlink(call: Call) -> Reply:
    status = await call.environment.unlink(call.actor)
    return Reply(messages.RelayConfigResponse(ok=True, endpoint_runtime_status=status))


async def preferences(call: Call) -> Reply:
    body: messages.ConnectPreferences = call.body
    return Reply(
        await call.environment.link.prefer(call.actor, publish_agent_activity=body.publish_agent_activity)
    )


async def health(call: Call) -> Reply:
    return Reply(await call.environment.mint.health(call.body.proof))


async def mint(call: Call) -> Reply:
    return Reply(await call.environment.mint.mint(call.body.proof))


#: The relay's requests; they carry their own authority and come in by either door.
RELAY_ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/t3-connect/health",
        health,
        "Could not answer cloud health request.",
        body=messages.ProofRequest,
        is_no_store=True,
    ),
    *(
        Endpoint(
            "POST",
            path,
            mint,
            "Could not issue cloud connection credential.",
            body=messages.ProofRequest,
            is_no_store=True,
        )
        # The second path is the older name of the first.
        for path in ("/api/t3-connect/mint-credential", "/api/connect/mint-credential")
    ),
)

LOCAL_ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/connect/link-proof",
        link_proof,
        "Could not generate environment link proof.",
        body=messages.LinkProofRequest,
        needs_session=True,
        is_no_store=True,
    ),
    Endpoint(
        "POST",
        "/api/connect/relay-config",
        relay_config,
        "Could not persist environment relay configuration.",
        body=messages.RelayConfigRequest,
        action=Action.LINK,
    ),
    Endpoint(
        "GET",
        "/api/connect/link-state",
        link_state,
        "Could not read environment relay configuration.",
        action=Action.SEE_LINK,
    ),
    Endpoint(
        "POST",
        "/api/connect/unlink",
        unlink,
        "Could not remove environment relay configuration.",
        action=Action.UNLINK,
    ),
    Endpoint(
        "POST",
        "/api/connect/preferences",
        preferences,
        "Could not persist environment cloud preferences.",
        body=messages.ConnectPreferences,
        action=Action.LINK,
    ),
)
