"""Proofs count once: a row per used jti or nonce, in a table whose primary key refuses the second.

What is stored is a digest, so that a hostile jti has bounded length and can name nothing.
"""

import hashlib
from collections.abc import Callable

from doorward.jose import b64url_encode
from doorward.store import Clock, Database, Tx

#: Longer than any proof can still be accepted: lifetime 300 s, skew 60 s, on either side.
GUARD_LIFETIME_MS = 15 * 60_000


def dpop_guard(thumbprint: str, jti: str) -> str:
    """The guard of one DPoP proof (connect-environment §1.2)."""
    return f"dpop-proof-{b64url_encode(hashlib.sha256(f'{thumbprint}:{jti}'.encode()).digest())}"


def relay_guards(kind: str, *, jti: str, nonce: str) -> tuple[str, str]:
    """The two guards of one signed relay request; `kind` is `mint` or `health`."""
    return (
        f"cloud-{kind}-jti-{hashlib.sha256(jti.encode()).hexdigest()}",
        f"cloud-{kind}-nonce-{hashlib.sha256(nonce.encode()).hexdigest()}",
    )


class ReplayGuards:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def consume(self, *names: str) -> bool:
        """True when none of the names was used before. All are used up afterwards, whatever the answer.

        Raises StoreError: the caller must then refuse, for it cannot know.
        """
        return await self._database.write(self.consuming(*names))

    def consuming(self, *names: str) -> Callable[[Tx], bool]:
        """`consume` as a part of a larger transaction, which must not be undone where the answer is no."""
        now = self._clock()
        rows = ", ".join(["(?, ?)"] * len(names))
        statement = (
            f"INSERT INTO environment_replay_guards (name, consumed_at) VALUES {rows}"  # noqa: S608 - placeholders only
            " ON CONFLICT (name) DO NOTHING"
        )
        values = [value for name in names for value in (name, now)]
        return lambda tx: tx.execute(statement, values) == len(names)


def prune(tx: Tx, now: int) -> None:
    tx.execute("DELETE FROM environment_replay_guards WHERE consumed_at < ?", (now - GUARD_LIFETIME_MS,))
