"""Somebody's own program on loopback: the demo service alone, as a process."""

import contextlib
import socket
import sys

import uvicorn

from doorward.server.demo import create_demo

if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("listening", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(create_demo(), log_level="warning")).run(sockets=[listener])
