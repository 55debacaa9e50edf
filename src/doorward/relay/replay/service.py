"""Checking a DPoP proof and using it up."""

import msgspec

from doorward.jose import DpopError, DpopProof, verify_dpop_proof
from doorward.relay.limits.service import Count
from doorward.relay.replay import store
from doorward.relay.replay.rules import dpop_expiry_ms
from doorward.spans import traced
from doorward.store import Clock, Database, Row, Statement


class ProofRefused(Exception):
    """The request's proof of possession does not hold; `code` is the failing check, or `replayed`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class UsedUp(msgspec.Struct, frozen=True):
    """A proof that is refused from now on, and what the questions beside it were answered."""

    proof: DpopProof
    beside: list[list[Row]]


class DpopProofs:
    def __init__(self, database: Database, clock: Clock, *, signature_before_time: bool = True) -> None:
        self._database = database
        self._clock = clock
        self._signature_before_time = signature_before_time

    @traced("relay.dpop_proofs.verify_and_consume")
    async def consume(
        self,
        header: str | None,
        *,
        counting: Count,
        method: str,
        url: str,
        access_token: str | None = None,
        thumbprint: str | None = None,
        beside: tuple[Statement, ...] = (),
    ) -> UsedUp:
        """The proof, verified and from now on refused. Raises `ProofRefused`; nothing is stored of a bad proof.

        `counting` counts the request, with a good proof or a bad one, in the transaction that uses the proof up. That
        it is one too many (`TooManyRequests`) is said before anything about the proof, which then stays good. `beside`
        are questions that go the same way; only who brings a good proof learns their answers.
        """
        now = self._clock()
        try:
            proof = self._verified(header, method, url, access_token, thumbprint, now)
        except ProofRefused:
            [counted] = await self._database.run(counting.statement)
            counting.check(counted)
            raise
        counted, used_up, *answers = await self._database.run(
            counting.statement,
            store.consuming(
                owner=proof.thumbprint,
                jti=proof.jti,
                iat=proof.iat,
                expires_at=dpop_expiry_ms(iat=proof.iat, now=now),
                now=now,
                condition=counting.condition,
            ),
            *beside,
        )
        counting.check(counted)
        if not used_up:
            raise ProofRefused("replayed")
        return UsedUp(proof, answers)

    def _verified(
        self,
        header: str | None,
        method: str,
        url: str,
        access_token: str | None,
        thumbprint: str | None,
        now: int,
    ) -> DpopProof:
        try:
            proof = verify_dpop_proof(
                header,
                method=method,
                url=url,
                now=now // 1000,
                access_token=access_token,
                expected_thumbprint=thumbprint,
                signature_before_time=self._signature_before_time,
            )
        except DpopError as error:
            raise ProofRefused(error.code) from error
        if "\x00" in proof.jti:
            # PostgreSQL cannot store it, so it could not be remembered.
            raise ProofRefused("malformed_proof")
        return proof
