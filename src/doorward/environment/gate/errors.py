"""What the gate says when it does not let a request through: one table."""

from __future__ import annotations

from enum import Enum

import msgspec


class RefusalBody(msgspec.Struct, frozen=True):
    """JSON body of every refusal that is not a page. `error` is stable; `message` is for a person."""

    error: str
    message: str


class Refusal(Enum):
    """(status, stable code, sentence)."""

    SIGN_IN_REQUIRED = (
        401,
        "sign_in_required",
        "This service is behind Doorward. Open it in a browser, or send Doorward-Authorization and Doorward-DPoP.",
    )
    INVALID_CREDENTIAL = (
        401,
        "invalid_credential",
        "The credential is not valid for this service any more. Connect again.",
    )
    FOREIGN_ORIGIN = (403, "foreign_origin", "Another origin may not use this visitor's session.")
    UNKNOWN_HOST = (421, "unknown_host", "This machine has no service under this name.")
    NOT_FOUND = (404, "not_found", "There is nothing here.")
    METHOD_NOT_ALLOWED = (405, "method_not_allowed", "This address takes another method.")
    SERVICE_DOWN = (502, "service_down", "The service does not answer on this machine.")
    CANNOT_CHECK = (
        503,
        "cannot_check",
        "This machine cannot look up who may visit at the moment. Try again shortly; its owner finds the reason in its log.",
    )
    NOT_READY = (503, "not_ready", "This machine is not linked at the moment.")

    @property
    def status(self) -> int:
        return self.value[0]

    @property
    def code(self) -> str:
        return self.value[1]

    @property
    def sentence(self) -> str:
        return self.value[2]

    def body(self) -> bytes:
        return msgspec.json.encode(RefusalBody(error=self.code, message=self.sentence))
