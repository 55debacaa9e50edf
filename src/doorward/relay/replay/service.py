"""Checking a DPoP proof and using it up."""

from collections.abc import Callable

from doorward.jose import DpopError, DpopProof, verify_dpop_proof
from doorward.relay.replay import store
from doorward.relay.replay.rules import dpop_expiry_ms
from doorward.spans import traced
from doorward.store import Clock, Database, Tx


class ProofRefused(Exception):
    """The request's proof of possession does not hold; `code` is the failing check, or `replayed`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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
        counting: Callable[[Tx], None],
        method: str,
        url: str,
        access_token: str | None = None,
        thumbprint: str | None = None,
    ) -> DpopProof:
        """The proof, verified and from now on refused. Raises `ProofRefused`; nothing is stored of a bad proof.

        `counting` counts the request, with a good proof or a bad one, in the transaction that uses the proof up; what
        it raises comes before anything that is to be said about the proof.
        """
        now = self._clock()
        proof: DpopProof | None = None
        refusal = ProofRefused("replayed")
        try:
            proof = self._verified(header, method, url, access_token, thumbprint, now)
        except ProofRefused as error:
            refusal = error

        def write(tx: Tx) -> bool:
            counting(tx)
            return proof is not None and store.consume(
                tx,
                owner=proof.thumbprint,
                jti=proof.jti,
                iat=proof.iat,
                expires_at=dpop_expiry_ms(iat=proof.iat, now=now),
                now=now,
            )

        if not await self._database.write(write) or proof is None:
            raise refusal
        return proof

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
