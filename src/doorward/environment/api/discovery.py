"""What anybody may read: the descriptor."""

from doorward.environment.api.framing import Call, Endpoint, Reply


async def descriptor(call: Call) -> Reply:
    return Reply(call.environment.descriptor)


DESCRIPTOR = Endpoint("GET", "/.well-known/t3/environment", descriptor, "internal_error")
