"""`@clerk/backend` in a process of its own, called a line at a time."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.sdk_clients.installed import javascript_sdks
from tests.sdk_clients.server import Server


class Threw(Exception):
    """What the SDK threw: `what` has its name, status, code, reason, trace id, seconds to wait, and the server's errors."""

    def __init__(self, call: str, what: dict[str, Any]) -> None:
        self.what = what
        super().__init__(f"{call} threw {what}")


class JavaScript:
    """js("users.getUser", user_id) is what `clerkClient.users.getUser(userId)` gives, as JSON.

    `by` are the options of the client that calls. `calls` keeps every call made so far, `asked` what the last one asked
    of the server ("GET /api/v1/users").
    """

    def __init__(self, server: Server) -> None:
        self.by = {"secretKey": server.secret_key, "publishableKey": server.publishable_key}
        self.calls: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self._process = subprocess.Popen(
            ["node", "calls.mjs"],
            cwd=javascript_sdks(),
            env=server.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, call: str, *args: Any, by: dict[str, Any] | None = None) -> Any:
        """Raises Threw."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"by": by or self.by, "call": call, "args": args}) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline() or '{"call": "nothing: the process ended"}')
        assert said["call"] == call, said
        self.asked = said["asked"]
        self.calls.append((call, json.dumps(args)))
        if "threw" in said:
            raise Threw(call, said["threw"])
        return said.get("gave")

    def refused(self, call: str, *args: Any, by: dict[str, Any] | None = None) -> tuple[int, str]:
        """The status and the one code of a call that must be refused."""
        try:
            gave = self(call, *args, by=by)
        except Threw as threw:
            (error,) = threw.what["errors"]
            return threw.what["status"], error["code"]
        raise AssertionError(f"{call} gave {gave}")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
