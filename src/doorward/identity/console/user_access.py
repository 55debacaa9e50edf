"""Whether and how a user gets in: sessions, bans, locks, the password, links that sign them in, and the end of the account."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts.new_accounts import Details, NewPassword
from doorward.identity.accounts.store import Account
from doorward.identity.console.call import Call
from doorward.identity.console.sections import PageRoute, Question, asking
from doorward.identity.console.user import ONE, account_of, name_of, path_of
from doorward.identity.errors import AUTHORIZATION_INVALID, RESOURCE_NOT_FOUND, Refused
from doorward.identity.pages import wording
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import HOUR, MINUTE

_SESSION = f"{ONE}/sessions/{{session_id}}/end"
LINK_LIFETIME_MS = HOUR
ACTING_LIFETIME_MS = 30 * MINUTE


class PasswordForm(msgspec.Struct):
    password: str = ""
    sign_out: str = ""


async def another(call: Call) -> Account:
    """The user, who is not the administrator who asks: nobody shuts themselves out. Raises Refused (403, 404)."""
    account = await account_of(call)
    if account.user.id == call.actor:
        raise Refused(
            AUTHORIZATION_INVALID.at(
                long_message="This is your own account. Another administrator can do it."
            )
        )
    return account


def who(account: Account) -> str:
    name, address = name_of(account.user), account.primary_email.address
    return f"{name} ({address})" if name else address


def _question(
    account: Account, title: str, text: str, action: str, busy: str, *, is_dangerous: bool = True
) -> Question:
    return Question(
        title=title,
        text=text,
        action=action,
        busy=busy,
        back=path_of(account),
        facts=(("User", who(account)), ("Id", account.user.id)),
        is_dangerous=is_dangerous,
    )


async def ask_ban(call: Call) -> Question:
    return _question(
        await another(call),
        "Ban this user?",
        "Every session ends at once, here and on machines; tokens and keys of theirs are refused. You can lift the ban later.",
        "Ban",
        "Banning…",
    )


async def ban(call: Call) -> Response:
    account = await another(call)
    await call.identity.administration.ban([account.user.id], actor=call.actor)
    return call.see(path_of(account), told="banned")


async def ask_unban(call: Call) -> Question:
    return _question(
        await account_of(call),
        "Lift the ban?",
        "They can sign in again. What was ended stays ended.",
        "Lift the ban",
        "Lifting…",
        is_dangerous=False,
    )


async def unban(call: Call) -> Response:
    account = await account_of(call)
    await call.identity.administration.unban([account.user.id], actor=call.actor)
    return call.see(path_of(account), told="unbanned")


async def ask_lock(call: Call) -> Question:
    return _question(
        await another(call),
        "Lock this user out for an hour?",
        "They cannot sign in or get new tokens for an hour. What is open stays open.",
        "Lock",
        "Locking…",
    )


async def lock(call: Call) -> Response:
    account = await another(call)
    await call.identity.administration.lock(account.user.id, actor=call.actor)
    return call.see(path_of(account), told="locked")


async def ask_unlock(call: Call) -> Question:
    return _question(
        await account_of(call),
        "Unlock this user?",
        "They can sign in again at once, and wrong passwords are counted from zero.",
        "Unlock",
        "Unlocking…",
        is_dangerous=False,
    )


async def unlock(call: Call) -> Response:
    account = await account_of(call)
    await call.identity.administration.unlock(account.user.id, actor=call.actor)
    return call.see(path_of(account), told="unlocked")


async def ask_delete(call: Call) -> Question:
    return _question(
        await another(call),
        "Delete this user?",
        "The account is gone with its sessions, addresses, memberships, keys and metadata. This cannot be undone.",
        "Delete the user",
        "Deleting…",
    )


async def delete(call: Call) -> Response:
    account = await another(call)
    await call.identity.administration.delete(account.user.id, actor=call.actor)
    return call.see("/admin/users", told="deleted")


async def _session(call: Call) -> tuple[Account, SessionRecord]:
    """Raises Refused (404) for a session of somebody else."""
    account = await account_of(call)
    session = await call.identity.session_administration.get(call.path["session_id"])
    if session.user_id != account.user.id:
        raise Refused(RESOURCE_NOT_FOUND)
    return account, session


async def ask_end_session(call: Call) -> Question:
    account, session = await _session(call)
    return _question(
        account,
        "End this session?",
        f"{wording.browser_words(session.user_agent)} from {wording.address_words(session.ip)} is signed out at once.",
        "End the session",
        "Ending…",
    )


async def end_session(call: Call) -> Response:
    account, session = await _session(call)
    await call.identity.session_administration.revoke(session.id, actor=call.actor)
    return call.see(path_of(account), told="session-ended")


async def show_password(call: Call) -> Response:
    call.require_recent_proof()
    return call.form("user_password.html", PasswordForm(sign_out="true"), account=await account_of(call))


async def change_password(call: Call) -> Response:
    call.require_recent_proof()
    form, account = await call.form_of(PasswordForm), await account_of(call)
    try:
        await call.identity.administration.update(
            account.user.id,
            Details(),
            password=NewPassword(password=form.password),
            sign_out_of_other_sessions=form.sign_out == "true",
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("user_password.html", PasswordForm(sign_out=form.sign_out), refused, account=account)
    return call.see(path_of(account), told="password")


async def ask_link(call: Call) -> Question:
    return _question(
        await account_of(call),
        "Make a link that signs this user in?",
        "Whoever opens it within an hour is signed in as this user, once. Give it to nobody else.",
        "Make the link",
        "Making…",
        is_dangerous=False,
    )


async def make_link(call: Call) -> Response:
    account = await account_of(call)
    made = await call.identity.tickets.make(
        "sign_in", account.user.id, lifetime_ms=LINK_LIFETIME_MS, actor=call.actor
    )
    return _link_page(call, account, made.token, "A link that signs this user in")


async def ask_act(call: Call) -> Question:
    return _question(
        await another(call),
        "Act as this user?",
        "The link opens a session of theirs for half an hour that names you as the one who acts. "
        "Open it in a private window: in this one you would no longer be yourself.",
        "Make the link",
        "Making…",
        is_dangerous=False,
    )


async def act(call: Call) -> Response:
    account = await another(call)
    made = await call.identity.tickets.make(
        "actor",
        account.user.id,
        lifetime_ms=LINK_LIFETIME_MS,
        acting={"sub": call.actor},
        session_lifetime_ms=ACTING_LIFETIME_MS,
        actor=call.actor,
    )
    return _link_page(call, account, made.token, "A link to act as this user")


def _link_page(call: Call, account: Account, token: str, title: str) -> Response:
    """The link is in this answer and nowhere else."""
    url = f"{call.identity.settings.origin}/sign-in?__clerk_ticket={token}"
    return call.page("user_link.html", account=account, url=url, title=title)


PAGES: tuple[PageRoute, ...] = (
    *asking(f"{ONE}/ban", ask_ban, ban),
    *asking(f"{ONE}/unban", ask_unban, unban),
    *asking(f"{ONE}/lock", ask_lock, lock),
    *asking(f"{ONE}/unlock", ask_unlock, unlock),
    *asking(f"{ONE}/delete", ask_delete, delete, needs_proof=True),
    *asking(_SESSION, ask_end_session, end_session),
    ("GET", f"{ONE}/password", show_password),
    ("POST", f"{ONE}/password", change_password),
    *asking(f"{ONE}/link", ask_link, make_link, needs_proof=True),
    *asking(f"{ONE}/act", ask_act, act, needs_proof=True),
)
TOLD = {
    "banned": "The user is banned. Every session of theirs has ended.",
    "unbanned": "The ban is lifted.",
    "locked": "The user is locked for an hour.",
    "unlocked": "The user is unlocked.",
    "deleted": "The user was deleted.",
    "session-ended": "The session was ended.",
    "password": "The password was set.",
}
