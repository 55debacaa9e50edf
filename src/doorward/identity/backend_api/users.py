"""Users: making, finding, changing, banning and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from msgspec import UNSET, UnsetType

from doorward.identity.accounts.directory import Order, Ordering
from doorward.identity.accounts.filters import Choice, Filter
from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from doorward.identity.accounts.store import Account
from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import order_of
from doorward.identity.backend_api.reading import read_instant
from doorward.identity.backend_api.wire import users as wire
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery, Page, Upload
from doorward.identity.errors import (
    FEATURE_NOT_IMPLEMENTED,
    FORM_CONDITIONAL_PARAM_MISSING,
    FORM_PARAM_ARRAY_LENGTH_MISMATCH,
    FORM_PARAM_ARRAY_SIZE_EXCEEDED,
    FORM_PARAM_UNKNOWN,
    TOTP_DISABLED,
    Refused,
)
from doorward.identity.resources.for_back_ends import users as resources

METADATA = ("public_metadata", "private_metadata", "unsafe_metadata")
#: From this version on a user's metadata are changed at their own path alone.
METADATA_APART = "2026-05-12"
MAX_FILTER_VALUES = 100


def user(call: Call[Any, Any], account: Account) -> resources.User:
    return resources.user(call.identity.views, account, call.now)


async def create_user(call: Call[NoQuery, wire.CreateUser]) -> resources.User:
    """Make a user; addresses count as verified unless said otherwise."""
    account = await call.identity.administration.create(new_user(call.body), actor=call.caller.id)
    return user(call, account)


async def get_user(call: Call[NoQuery, NoBody]) -> resources.User:
    """One user."""
    return user(call, await call.identity.administration.get(call.path["user_id"]))


async def list_users(call: Call[wire.UserPage, NoBody]) -> list[resources.User]:
    """A page of users that match every filter, newest first unless asked otherwise."""
    query = call.query
    accounts = await call.identity.directory.list(
        _filter(query),
        _ordering(query.order_by),
        limit=query.limit,
        offset=query.offset,
        after=query.starting_after,
    )
    return [user(call, account) for account in accounts]


async def count_users(call: Call[wire.UserFilters, NoBody]) -> wire.TotalCount:
    """How many users match every filter."""
    return wire.TotalCount(await call.identity.directory.count(_filter(call.query)))


async def update_user(call: Call[NoQuery, wire.UpdateUser]) -> resources.User:
    """Change what is given; before 2026-05-12 that replaces metadata too."""
    body = call.body
    refuse_second_factors(body.totp_secret, body.backup_codes)
    for name in ("primary_web3_wallet_id", "profile_image_id"):
        if getattr(body, name) is not None:
            raise Refused(FEATURE_NOT_IMPLEMENTED.at(name))
    for name in METADATA:
        if call.version >= METADATA_APART and getattr(body, name) is not UNSET:
            sentence = f"{name} is changed at /users/{{user_id}}/metadata."
            raise Refused(FORM_PARAM_UNKNOWN.at(name, long_message=sentence))
    accepted = body.legal_accepted_at
    details = Details(
        external_id=body.external_id,
        username=body.username,
        first_name=body.first_name,
        last_name=body.last_name,
        locale=body.locale,
        timezone=body.timezone,
        delete_self_enabled=_or_unset(body.delete_self_enabled),
        create_organization_enabled=_or_unset(body.create_organization_enabled),
        create_organizations_limit=body.create_organizations_limit,
        bypass_client_trust=_or_unset(body.bypass_client_trust),
        legal_accepted_at=UNSET
        if isinstance(accepted, UnsetType)
        else read_instant("legal_accepted_at", accepted),
        created_at=_or_unset(read_instant("created_at", body.created_at)),
        primary_email_address_id=_or_unset(body.primary_email_address_id),
        primary_phone_number_id=_or_unset(body.primary_phone_number_id),
        **_metadata(body),
    )
    account = await call.identity.administration.update(
        call.path["user_id"],
        details,
        password=_password(body),
        sign_out_of_other_sessions=bool(body.sign_out_of_other_sessions),
        is_told=bool(body.notify_primary_email_address_changed),
        actor=call.caller.id,
    )
    return user(call, account)


async def merge_metadata(call: Call[NoQuery, wire.UserMetadata]) -> resources.User:
    """Merge metadata deeply; null removes a key."""
    account = await call.identity.administration.merge_metadata(
        call.path["user_id"], Details(**_metadata(call.body)), actor=call.caller.id
    )
    return user(call, account)


async def replace_metadata(call: Call[NoQuery, wire.UserMetadata]) -> resources.User:
    """Replace each kind of metadata that is given."""
    account = await call.identity.administration.update(
        call.path["user_id"],
        Details(**_metadata(call.body)),
        password=NewPassword(),
        actor=call.caller.id,
    )
    return user(call, account)


async def delete_user(call: Call[NoQuery, NoBody]) -> resources.DeletedUser:
    """Delete a user with all that is theirs, and end what they have open."""
    gone = await call.identity.administration.delete(call.path["user_id"], actor=call.caller.id)
    return resources.DeletedUser(gone.id, "user", True, gone.external_id)


async def ban_user(call: Call[NoQuery, NoBody]) -> resources.User:
    """Ban a user: every session and token ends now."""
    (account,) = await call.identity.administration.ban([call.path["user_id"]], actor=call.caller.id)
    return user(call, account)


async def unban_user(call: Call[NoQuery, NoBody]) -> resources.User:
    """Let a banned user sign in again."""
    (account,) = await call.identity.administration.unban([call.path["user_id"]], actor=call.caller.id)
    return user(call, account)


async def ban_users(call: Call[NoQuery, wire.UserIds]) -> list[resources.User]:
    """Ban several users at once: all of them or none."""
    accounts = await call.identity.administration.ban(call.body.user_ids, actor=call.caller.id)
    return [user(call, account) for account in accounts]


async def unban_users(call: Call[NoQuery, wire.UserIds]) -> list[resources.User]:
    """Let several banned users sign in again."""
    accounts = await call.identity.administration.unban(call.body.user_ids, actor=call.caller.id)
    return [user(call, account) for account in accounts]


async def lock_user(call: Call[NoQuery, NoBody]) -> resources.User:
    """Lock a user out of new sign-ins for an hour."""
    return user(call, await call.identity.administration.lock(call.path["user_id"], actor=call.caller.id))


async def unlock_user(call: Call[NoQuery, NoBody]) -> resources.User:
    """Unlock a user and forget the wrong passwords that were counted."""
    return user(call, await call.identity.administration.unlock(call.path["user_id"], actor=call.caller.id))


async def set_profile_image(call: Call[NoQuery, Upload]) -> resources.User:
    """Give a user a picture: JPEG, PNG, GIF or WebP."""
    account = await call.identity.administration.set_image(
        call.path["user_id"], call.body.file, actor=call.caller.id
    )
    return user(call, account)


async def delete_profile_image(call: Call[NoQuery, NoBody]) -> resources.User:
    """Take a user's picture away."""
    return user(
        call, await call.identity.administration.delete_image(call.path["user_id"], actor=call.caller.id)
    )


async def verify_password(call: Call[NoQuery, wire.PasswordGuess]) -> wire.Verified:
    """Whether this is the user's password; a wrong one is refused."""
    await call.identity.administration.verify_password(call.path["user_id"], call.body.password)
    return wire.Verified()


async def remove_password(call: Call[NoQuery, wire.RemovePassword]) -> resources.User:
    """Take a user's password away."""
    account = await call.identity.administration.remove_password(
        call.path["user_id"], sign_out=call.body.sign_out_of_other_sessions, actor=call.caller.id
    )
    return user(call, account)


async def set_user_password_compromised(call: Call[NoQuery, wire.SetPasswordCompromised]) -> resources.User:
    """Say that others may know the password: it signs nobody in until a new one is chosen."""
    account = await call.identity.administration.set_password_compromised(
        call.path["user_id"], True, sign_out=bool(call.body.revoke_all_sessions), actor=call.caller.id
    )
    return user(call, account)


async def unset_user_password_compromised(call: Call[NoQuery, NoBody]) -> resources.User:
    """Trust the password again."""
    account = await call.identity.administration.set_password_compromised(
        call.path["user_id"], False, actor=call.caller.id
    )
    return user(call, account)


async def verify_totp(call: Call[NoQuery, wire.CodeGuess]) -> wire.Verified:
    """No account has a second factor here, so there is none to verify."""
    await call.identity.administration.get(call.path["user_id"])
    raise Refused(TOTP_DISABLED)


async def disable_mfa(call: Call[NoQuery, NoBody]) -> wire.UserId:
    """Remove every second factor; no account has any here."""
    return wire.UserId((await call.identity.administration.get(call.path["user_id"])).user.id)


async def delete_totp(call: Call[NoQuery, NoBody]) -> wire.UserId:
    """Remove the authenticator application; no account has one here."""
    return await disable_mfa(call)


async def delete_backup_codes(call: Call[NoQuery, NoBody]) -> wire.UserId:
    """Remove the backup codes; no account has any here."""
    return await disable_mfa(call)


async def list_provider_tokens(call: Call[Page, NoBody]) -> wire.ProviderTokens | list[wire.ProviderToken]:
    """Access tokens of a social provider; no account is connected to one here."""
    await call.identity.administration.get(call.path["user_id"])
    return wire.ProviderTokens([], 0) if call.query.paginated else []


def refuse_second_factors(totp_secret: str | None, backup_codes: Sequence[str] | None) -> None:
    """Keeping one that no sign-in asks for would be a lock without a door. Raises Refused (403)."""
    if totp_secret is not None:
        raise Refused(FEATURE_NOT_IMPLEMENTED.at("totp_secret"))
    if backup_codes:
        raise Refused(FEATURE_NOT_IMPLEMENTED.at("backup_codes"))


def new_user(body: wire.CreateUser) -> NewUser:
    """Raises Refused (403, 422)."""
    refuse_second_factors(body.totp_secret, body.backup_codes)
    if body.web3_wallet:
        raise Refused(FEATURE_NOT_IMPLEMENTED.at("web3_wallet"))
    details = Details(
        external_id=body.external_id,
        username=body.username,
        first_name=body.first_name,
        last_name=body.last_name,
        locale=body.locale,
        timezone=body.timezone,
        delete_self_enabled=_or_unset(body.delete_self_enabled),
        create_organization_enabled=_or_unset(body.create_organization_enabled),
        create_organizations_limit=body.create_organizations_limit,
        bypass_client_trust=_or_unset(body.bypass_client_trust),
        legal_accepted_at=read_instant("legal_accepted_at", body.legal_accepted_at),
        created_at=_or_unset(read_instant("created_at", body.created_at)),
        public_metadata=body.public_metadata or {},
        private_metadata=body.private_metadata or {},
        unsafe_metadata=body.unsafe_metadata or {},
    )
    return NewUser(
        details=details,
        email_addresses=_identifiers(
            "email_address_identification_status",
            body.email_address,
            body.email_address_identification_status,
        ),
        phone_numbers=_identifiers(
            "phone_number_identification_status", body.phone_number, body.phone_number_identification_status
        ),
        password=_password(body),
        is_banned=bool(body.banned),
        is_locked=bool(body.locked),
    )


def _identifiers(
    param: str, values: tuple[str, ...], statuses: Sequence[Any] | None
) -> tuple[Identifier, ...]:
    if statuses is None:
        return tuple(Identifier(value) for value in values)
    if len(statuses) != len(values):
        raise Refused(FORM_PARAM_ARRAY_LENGTH_MISMATCH.at(param))
    return tuple(Identifier(value, status) for value, status in zip(values, statuses, strict=True))


def _password(body: wire.CreateUser | wire.UpdateUser) -> NewPassword:
    return NewPassword(
        password=body.password,
        digest=body.password_digest,
        hasher=body.password_hasher,
        is_checked=not body.skip_password_checks,
    )


def _metadata(body: wire.UpdateUser | wire.UserMetadata) -> dict[str, Any]:
    """Those given; null is the empty object."""
    return {name: value or {} for name in METADATA if (value := getattr(body, name)) is not UNSET}


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value


def _ordering(text: str) -> Ordering:
    return Ordering(*order_of(text, get_args(Order)))


def _filter(query: wire.UserFilters) -> Filter:
    """Raises Refused (422)."""
    for name in (
        "email_address", "phone_number", "external_id", "username", "user_id", "organization_id", "web3_wallet",
    ):  # fmt: skip
        if len(getattr(query, name)) > MAX_FILTER_VALUES:
            sentence = f"{name} takes at most {MAX_FILTER_VALUES} values."
            raise Refused(FORM_PARAM_ARRAY_SIZE_EXCEEDED.at(name, long_message=sentence))
    if (query.provider is None) != (not query.provider_user_id):
        absent = "provider" if query.provider is None else "provider_user_id"
        raise Refused(
            FORM_CONDITIONAL_PARAM_MISSING.at(
                absent, long_message="provider and provider_user_id go together."
            )
        )
    return Filter(
        ids=_choice(query.user_id),
        external_ids=_choice(query.external_id),
        organization_ids=_choice(query.organization_id),
        email_addresses=tuple(address.lower() for address in query.email_address),
        phone_numbers=query.phone_number,
        usernames=tuple(name.lower() for name in query.username),
        text=query.query,
        email_text=query.email_address_query,
        phone_text=query.phone_number_query,
        username_text=query.username_query,
        name_text=query.name_query,
        is_banned=query.banned,
        last_active_before=query.last_active_at_before,
        last_active_after=query.last_active_at_after or query.last_active_at_since,
        created_before=query.created_at_before,
        created_after=query.created_at_after,
        last_sign_in_before=query.last_sign_in_at_before,
        last_sign_in_after=query.last_sign_in_at_after,
        is_impossible=bool(query.web3_wallet or query.provider),
    )


def _choice(values: tuple[str, ...]) -> Choice:
    return Choice(
        wanted=tuple(value.lstrip("+ ") for value in values if not value.startswith("-")),
        unwanted=tuple(value[1:] for value in values if value.startswith("-")),
    )


OPERATIONS = (
    operation("GET", "/users", list_users, query=wire.UserPage, answer=list[resources.User]),
    operation("POST", "/users", create_user, body=wire.CreateUser, answer=resources.User),
    operation("GET", "/users/count", count_users, query=wire.UserFilters, answer=wire.TotalCount),
    operation("POST", "/users/ban", ban_users, body=wire.UserIds, answer=list[resources.User]),
    operation("POST", "/users/unban", unban_users, body=wire.UserIds, answer=list[resources.User]),
    operation("GET", "/users/{user_id}", get_user, answer=resources.User),
    operation("PATCH", "/users/{user_id}", update_user, body=wire.UpdateUser, answer=resources.User),
    operation("DELETE", "/users/{user_id}", delete_user, answer=resources.DeletedUser),
    operation(
        "PATCH", "/users/{user_id}/metadata", merge_metadata, body=wire.UserMetadata, answer=resources.User
    ),
    operation(
        "PUT", "/users/{user_id}/metadata", replace_metadata, body=wire.UserMetadata, answer=resources.User
    ),
    operation("POST", "/users/{user_id}/ban", ban_user, answer=resources.User),
    operation("POST", "/users/{user_id}/unban", unban_user, answer=resources.User),
    operation("POST", "/users/{user_id}/lock", lock_user, answer=resources.User),
    operation("POST", "/users/{user_id}/unlock", unlock_user, answer=resources.User),
    operation(
        "POST", "/users/{user_id}/profile_image", set_profile_image, body=Upload, answer=resources.User
    ),
    operation("DELETE", "/users/{user_id}/profile_image", delete_profile_image, answer=resources.User),
    operation(
        "POST",
        "/users/{user_id}/verify_password",
        verify_password,
        body=wire.PasswordGuess,
        answer=wire.Verified,
    ),
    operation(
        "POST",
        "/users/{user_id}/remove_password",
        remove_password,
        body=wire.RemovePassword,
        answer=resources.User,
    ),
    operation(
        "POST",
        "/users/{user_id}/password/set_compromised",
        set_user_password_compromised,
        body=wire.SetPasswordCompromised,
        answer=resources.User,
    ),
    operation(
        "POST",
        "/users/{user_id}/password/unset_compromised",
        unset_user_password_compromised,
        answer=resources.User,
    ),
    operation("POST", "/users/{user_id}/verify_totp", verify_totp, body=wire.CodeGuess, answer=wire.Verified),
    operation("DELETE", "/users/{user_id}/mfa", disable_mfa, answer=wire.UserId),
    operation("DELETE", "/users/{user_id}/totp", delete_totp, answer=wire.UserId),
    operation("DELETE", "/users/{user_id}/backup_code", delete_backup_codes, answer=wire.UserId),
    operation(
        "GET",
        "/users/{user_id}/oauth_access_tokens/{provider}",
        list_provider_tokens,
        query=Page,
        answer=wire.ProviderTokens | list[wire.ProviderToken],
    ),
)
