"""An application of `tests/verify/frameworks`, served as one would serve it: `bench.middleware` starts it as a process.

    python -m bench.served NAME PORT [PEM]

With the file of a public key it is the application with its integration, else the one without.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

from tests.verify.frameworks import applications
from tests.verify.frameworks.serving import QuietHandler

from doorward.verify import Authenticator

WSGI = ("wsgi", "flask", "django-wsgi")


def main(name: str, port: int, pem: str | None) -> None:
    if pem is None:
        app = applications.BARE[name]()
    else:
        authenticator = Authenticator(jwt_key=Path(pem).read_text(), environment={}, verified_tokens=100)
        app = applications.FRAMEWORKS[name][0](authenticator)
    if name in WSGI:
        make_server("127.0.0.1", port, app, handler_class=QuietHandler).serve_forever()
    elif name == "aiohttp":
        _serve_aiohttp(app, port)
    else:
        _serve_asgi(app, port)


def _serve_asgi(app: Any, port: int) -> None:
    import uvicorn

    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )


def _serve_aiohttp(app: Any, port: int) -> None:
    import uvloop
    from aiohttp import web

    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
