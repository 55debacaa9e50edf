"""Lines in the shape of cloudflared's log: T3 Code looks for `Registered tunnel connection`, `WRN` and `ERR` in them."""

from __future__ import annotations

import time
from typing import Literal, TextIO

from doorward.tunnel import ConnectorState
from doorward.tunnel.connector import UNPROVED


class Lines:
    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_open = False

    @property
    def has_reader(self) -> bool:
        """Whether a person reads along."""
        return self._output.isatty()

    def say(self, level: Literal["INF", "WRN", "ERR"], text: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        print(f"{now} {level} {text}", file=self._output, flush=True)

    def say_state(self, state: ConnectorState) -> None:
        """What became of the tunnel. Registered is one that stands: cloudflared's word says nothing of the origin."""
        was_open, self._is_open = self._is_open, state.word == "connected" or bool(state.hostnames)
        if self._is_open and not was_open:
            names = ",".join(state.hostnames)
            self.say("INF", f"Registered tunnel connection connIndex=0 hostnames={names}")
        match state.word:
            case "connecting" if self._is_open:
                if state.reason != UNPROVED:
                    self.say(
                        "WRN", f"Unable to reach the origin service reason={state.reason} {state.message}"
                    )
            case "connecting" if state.reason:
                self.say("WRN", f"Retrying connection reason={state.reason} {state.message}".rstrip())
            case "superseded":
                self.say("WRN", f"Another connector of this machine took the tunnel over. {state.message}")
            case "refused":
                self.say("ERR", f"Register tunnel error reason={state.reason} {state.message}".rstrip())
            case _:
                pass
