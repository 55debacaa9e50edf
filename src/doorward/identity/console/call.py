"""One request of an administrator, and what pages of the console answer it with."""

from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import Refused
from doorward.identity.pages import forms
from doorward.identity.pages.site import Site

if TYPE_CHECKING:
    from doorward.identity.services import Identity
    from doorward.identity.sessions.signed_in import SignedIn

T = TypeVar("T")


class ProofNeeded(Exception):
    """The page is for administrators who gave their password a moment ago."""


class Call(msgspec.Struct, frozen=True):
    """Made by `routing` alone, for whom `access` let in."""

    site: Site
    request: Request
    administrator: "SignedIn"

    @property
    def identity(self) -> "Identity":
        return self.site.identity

    @property
    def actor(self) -> str:
        """Who the audit trail names."""
        return self.administrator.user_id

    @property
    def now(self) -> int:
        return self.identity.clock()

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    async def fields(self) -> dict[str, str]:
        """A form whose fields are not known beforehand. Raises Refused (400, 413, 415)."""
        return await forms.fields_of(self.request)

    async def form_of(self, shape: type[T]) -> T:
        """Raises Refused (400, 413, 415)."""
        return await forms.form_of(self.request, shape)

    def require_recent_proof(self) -> None:
        """Raises ProofNeeded, which becomes the page that asks for the password and leads back here."""
        try:
            self.identity.sessions.require_recent_proof(self.administrator)
        except Refused:
            raise ProofNeeded from None

    def page(self, template: str, **context: object) -> Response:
        return self.site.page(self.request, template, context)

    def form(
        self, template: str, form: msgspec.Struct | None, refused: Refused | None = None, **context: object
    ) -> Response:
        """The page of a form, filled with `form`; after a refusal with what was wrong beside its field, under the
        refusal's status. Fields are called as the services' parameters are; a problem of no field stands above."""
        fields = {} if form is None else {name: name for name in form.__struct_fields__}
        return self.site.form(self.request, template, {"form": form, **context}, refused, fields=fields)

    def see(self, path: str, **query: str | None) -> Response:
        """303. `told` names the section's sentence about what was done."""
        return self.site.see(path, **query)
