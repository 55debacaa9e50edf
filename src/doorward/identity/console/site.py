"""The console's look: its templates within its frame."""

from collections.abc import Mapping
from functools import cached_property
from itertools import groupby
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.console.catalogue import SECTIONS
from doorward.identity.pages.site import Site
from doorward.web import Pages

NAVIGATION = tuple((group, tuple(sections)) for group, sections in groupby(SECTIONS, lambda each: each.group))


class ConsoleSite(Site):
    """Pages, forms and errors as identity's other pages have them, each in the console's frame."""

    # Elsewhere it is the person themselves who is told.
    sentences: ClassVar[Mapping[str, str]] = {
        "form_identifier_exists": "Another user has this already.",
        "form_password_matches_identifier": "This password is too close to the e-mail address.",
        "user_banned": "This user is banned.",
        "user_locked": "This user is locked.",
        "identification_deletion_failed": "This is the last address: give the account another one first.",
        "invitation_already_accepted": "This invitation was used already.",
    }

    @cached_property
    def pages(self) -> Pages:
        return Pages("doorward.identity.console", assets_prefix="/admin/assets")

    def page(
        self,
        request: Request,
        template: str,
        context: Mapping[str, object] | None = None,
        *,
        status: int = 200,
        form_action: tuple[str, ...] = (),
        worker_policy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        section = next((each for each in SECTIONS if each.holds(request.url.path)), SECTIONS[0])
        frame = {
            "navigation": NAVIGATION,
            "section": section,
            "done": section.told.get(request.query_params.get("told", "")),
        }
        return super().page(
            request,
            template,
            {**frame, **(context or {})},
            status=status,
            form_action=form_action,
            worker_policy=worker_policy,
            headers=headers,
        )
