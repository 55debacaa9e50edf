"""Lines in the shape of cloudflared's log: T3 Code looks for `Registered tunnel connection`, `WRN` and `ERR` in them."""

from __future__ import annotations

import time
from typing import Literal, TextIO

from doorward.tunnel import ConnectorState


class Lines:
    def __init__(self, output: TextIO) -> None:
        self._output = output

    @property
    def has_reader(self) -> bool:
        """Whether a person reads along."""
        return self._output.isatty()

    def say(self, level: Literal["INF", "WRN", "ERR"], text: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        print(f"{now} {level} {text}", file=self._output, flush=True)

    def say_state(self, state: ConnectorState) -> None:
        """What became of the tunnel."""
        match state.word:
            case "connected":
                names = ",".join(state.hostnames)
                self.say("INF", f"Registered tunnel connection connIndex=0 hostnames={names}")
            case "connecting" if state.reason:
                self.say("WRN", f"Retrying connection reason={state.reason} {state.message}".rstrip())
            case "superseded":
                self.say("WRN", f"Another connector of this machine took the tunnel over. {state.message}")
            case "refused":
                self.say("ERR", f"Register tunnel error reason={state.reason} {state.message}".rstrip())
            case _:
                pass
