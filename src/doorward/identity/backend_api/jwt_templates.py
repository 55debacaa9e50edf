"""JWT templates: list, make, read, change, delete; and ours, a look at what claims would give a user."""

from __future__ import annotations

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.jwt_templates import (
    JwtTemplate,
    JwtTemplatePreview,
    PreviewBody,
    PreviewWarning,
    TemplateBody,
)
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery, Page
from doorward.identity.resources.deleted import Deleted
from doorward.identity.templates.service import Draft
from doorward.identity.templates.store import TemplateRecord

_ONE = "/jwt_templates/{template_id}"


async def list_jwt_templates(call: Call[Page, NoBody]) -> list[JwtTemplate] | Listed[JwtTemplate]:
    """Templates, newest first."""
    found, total = await call.identity.templates.list(limit=call.query.limit, offset=call.query.offset)
    templates = [_shown(template) for template in found]
    return Listed(templates, total) if call.query.paginated else templates


async def create_jwt_template(call: Call[NoQuery, TemplateBody]) -> JwtTemplate:
    """Make a template."""
    return _shown(await call.identity.templates.create(_draft(call.body), actor=call.caller.id))


async def get_jwt_template(call: Call[NoQuery, NoBody]) -> JwtTemplate:
    """One template."""
    return _shown(await call.identity.templates.get(call.path["template_id"]))


async def update_jwt_template(call: Call[NoQuery, TemplateBody]) -> JwtTemplate:
    """Change a template; what the body leaves out stays."""
    changed = await call.identity.templates.update(
        call.path["template_id"], _draft(call.body), actor=call.caller.id
    )
    return _shown(changed)


async def delete_jwt_template(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a template; tokens made with it live on until they expire."""
    template_id = call.path["template_id"]
    await call.identity.templates.delete(template_id, actor=call.caller.id)
    return Deleted("jwt_template", template_id)


async def preview_jwt_template(call: Call[NoQuery, PreviewBody]) -> JwtTemplatePreview:
    """What claims would give a user, and what to know about them. Doorward's own."""
    preview = await call.identity.templates.preview(call.body.claims, call.body.user_id)
    warnings = [PreviewWarning(warned.code, warned.where, warned.message) for warned in preview.warnings]
    return JwtTemplatePreview(claims=preview.claims, size=preview.size, warnings=warnings)


def _draft(body: TemplateBody) -> Draft:
    return Draft(
        name=body.name,
        claims=body.claims,
        lifetime=body.lifetime,
        allowed_clock_skew=body.allowed_clock_skew,
        custom_signing_key=body.custom_signing_key,
        signing_algorithm=body.signing_algorithm,
        signing_key=body.signing_key,
    )


def _shown(template: TemplateRecord) -> JwtTemplate:
    return JwtTemplate(
        id=template.id,
        name=template.name,
        claims=msgspec.json.decode(template.claims.encode()),
        lifetime=template.lifetime,
        allowed_clock_skew=template.allowed_clock_skew,
        custom_signing_key=template.sealed_signing_key is not None,
        signing_algorithm=template.signing_algorithm,
        created_at=template.created_at,
        updated_at=template.updated_at,
    )


OPERATIONS = (
    operation(
        "GET",
        "/jwt_templates",
        list_jwt_templates,
        query=Page,
        answer=list[JwtTemplate] | Listed[JwtTemplate],
    ),
    operation("POST", "/jwt_templates", create_jwt_template, body=TemplateBody, answer=JwtTemplate),
    operation(
        "POST", "/jwt_templates/preview", preview_jwt_template, body=PreviewBody, answer=JwtTemplatePreview
    ),
    operation("GET", _ONE, get_jwt_template, answer=JwtTemplate),
    operation("PATCH", _ONE, update_jwt_template, body=TemplateBody, answer=JwtTemplate),
    operation("DELETE", _ONE, delete_jwt_template, answer=Deleted),
)
