"""Which running connector holds a tunnel, agreed upon by every node of the edge.

The newest authenticated connector owns a tunnel's names. Its epoch is higher than that of any before it, so that a
node can tell an old connection from a new one whatever order the news arrives in. Two channels: "relay.tunnel_claims"
ends older connections everywhere, "relay.tunnel_wanted" asks whoever holds the tunnel to bring it to another node too.
"""

import msgspec

from doorward.store import Clock, Database, Tx

CLAIMS_CHANNEL = "relay.tunnel_claims"
WANTED_CHANNEL = "relay.tunnel_wanted"


class TunnelClaimed(msgspec.Struct, frozen=True, rename="camel"):
    """Payload of "relay.tunnel_claims": connections of this tunnel with a lower epoch end."""

    environment_id: str
    epoch: int


class TunnelWanted(msgspec.Struct, frozen=True, rename="camel"):
    """Payload of "relay.tunnel_wanted": a visitor of `hostname` waits at `node`, which does not hold the tunnel."""

    environment_id: str
    hostname: str
    node: str


class TunnelClaims:
    """`environment_id` is the tunnel's id towards the edge, as everywhere the edge asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, environment_id: str, *, instance: str) -> int:
        """The epoch of the connector `instance`: its own again, or the next one when another held the tunnel."""
        now = self._clock()

        def write(tx: Tx) -> int:
            held = tx.fetch_one(
                "SELECT instance, epoch FROM relay_tunnel_claims WHERE tunnel_id = ?", (environment_id,)
            )
            if held is not None and held[0] == instance:
                return _epoch(held[1])
            row = tx.fetch_one(
                "INSERT INTO relay_tunnel_claims (tunnel_id, instance, epoch, claimed_at) VALUES (?, ?, 1, ?)"
                " ON CONFLICT (tunnel_id) DO UPDATE SET instance = excluded.instance,"
                " epoch = relay_tunnel_claims.epoch + 1, claimed_at = excluded.claimed_at RETURNING epoch",
                (environment_id, instance, now),
            )
            if row is None:
                raise LookupError("The claim that was just written is gone.")
            notice = TunnelClaimed(environment_id, _epoch(row[0]))
            tx.notify(CLAIMS_CHANNEL, msgspec.json.encode(notice).decode())
            return notice.epoch

        return await self._database.write(write)

    async def epoch(self, environment_id: str) -> int:
        """The highest epoch given out; 0 before the first."""

        def read(tx: Tx) -> int:
            row = tx.fetch_one("SELECT epoch FROM relay_tunnel_claims WHERE tunnel_id = ?", (environment_id,))
            return 0 if row is None else _epoch(row[0])

        return await self._database.read(read)

    async def want(self, wanted: TunnelWanted) -> None:
        """Tell every node; nothing is stored."""
        payload = msgspec.json.encode(wanted).decode()
        await self._database.write(lambda tx: tx.notify(WANTED_CHANNEL, payload))


def _epoch(value: object) -> int:
    return msgspec.convert(value, int)
