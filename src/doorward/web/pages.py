"""How a room turns a template into an answer."""

import secrets
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import BaseRoute, Mount

from doorward.web.assets import StaticAssets
from doorward.web.headers import security_headers
from doorward.web.templating import templates

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


class Pages:
    """The pages of one room: its templates, its static files and ours.

    `packages` are searched for `templates/` and `static/`, in order, before this room's own. `connect` are
    origins every page may talk to. `routes` has to be part of the application that answers with these pages.
    """

    def __init__(self, *packages: str, assets_prefix: str = "/assets", connect: Iterable[str] = ()) -> None:
        self._packages = packages
        self._connect = tuple(connect)
        self.assets = StaticAssets("doorward.web", *packages, prefix=assets_prefix)
        self.routes: list[BaseRoute] = [Mount(assets_prefix, self.assets, name="assets")]
        self._import_map = msgspec.json.encode(self.assets.import_map()).decode()

    @cached_property
    def _environment(self) -> "Environment":
        environment = templates(*self._packages)
        environment.globals["asset"] = self.assets.url
        environment.globals["import_map"] = self._import_map
        return environment

    def _module(self, nonce: str, name: str) -> "Markup":
        from markupsafe import Markup

        tag = Markup('<script type="module" src="{}" nonce="{}"></script>')
        return tag.format(self.assets.url(name), nonce)

    def page(
        self,
        request: Request,
        template: str,
        context: Mapping[str, object] | None = None,
        *,
        status: int = 200,
        form_action: Iterable[str] = (),
        worker_policy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """Answer with `template`, a fresh nonce and the headers that go with it.

        Templates see `context`, `request_path`, `nonce`, `asset(name)` (a static file's URL) and `module(name)`
        (the script element of an ES module). `form_action` names the origins at which a form of this page may
        end, besides our own; `worker_policy` is the header's (`security_headers`).
        """
        nonce = secrets.token_urlsafe(16)
        values = {
            **(context or {}),
            "nonce": nonce,
            "module": partial(self._module, nonce),
            "request_path": request.url.path,
        }
        body = self._environment.get_template(template).render(values)
        sent = security_headers(
            nonce, connect=self._connect, form_action=form_action, worker_policy=worker_policy
        )
        return HTMLResponse(body, status, {**sent, **(headers or {})})
