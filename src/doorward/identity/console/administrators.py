"""Who may see this console, and making and withdrawing them."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts.store import Account
from doorward.identity.console.call import Call
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.user import account_of
from doorward.identity.console.user_access import who
from doorward.identity.console.users_by_address import user_of_address
from doorward.identity.errors import Refused

PATH = "/admin/administrators"


class FindForm(msgspec.Struct):
    email_address: str = ""


async def show(call: Call) -> Response:
    accounts = await call.identity.administrators.list()
    return call.page("administrators.html", accounts=accounts, actor=call.actor)


async def show_new(call: Call) -> Response:
    return call.form("administrator_new.html", FindForm())


async def find(call: Call) -> Response:
    """By the whole address: whoever has it is asked about on the next page."""
    form = await call.form_of(FindForm)
    try:
        account = await user_of_address(call, "email_address", form.email_address)
    except Refused as refused:
        return call.form("administrator_new.html", form, refused)
    return call.see(f"{PATH}/{account.user.id}/grant")


def _question(account: Account, *, title: str, text: str, action: str, busy: str) -> Question:
    facts = (("User", who(account)), ("Id", account.user.id))
    return Question(title=title, text=text, action=action, busy=busy, back=PATH, facts=facts)


async def ask_grant(call: Call) -> Question:
    return _question(
        await account_of(call),
        title="Make this user an administrator?",
        text="They see and change everything here as you do: every user, every key, every setting. They can also withdraw you.",
        action="Make them an administrator",
        busy="Changing…",
    )


async def grant(call: Call) -> Response:
    await call.identity.administrators.grant(call.path["user_id"], actor=call.actor)
    return call.see(PATH, told="granted")


async def ask_withdraw(call: Call) -> Question:
    account = await account_of(call)
    is_oneself = account.user.id == call.actor
    return _question(
        account,
        title="Stop being an administrator?" if is_oneself else "Withdraw this administrator?",
        text="You see nothing of the console from then on; another administrator can let you in again."
        if is_oneself
        else "They see nothing of the console from their next click on. Their account stays as it is.",
        action="Withdraw",
        busy="Withdrawing…",
    )


async def withdraw(call: Call) -> Response:
    account = await call.identity.administrators.withdraw(call.path["user_id"], actor=call.actor)
    if account.user.id == call.actor:
        return call.see("/account")
    return call.see(PATH, told="withdrawn")


SECTION = Section(
    "Administrators",
    PATH,
    "Instance",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", find),
        *asking(f"{PATH}/{{user_id}}/grant", ask_grant, grant, needs_proof=True),
        *asking(f"{PATH}/{{user_id}}/withdraw", ask_withdraw, withdraw, needs_proof=True),
    ),
    told={
        "granted": "They are an administrator now.",
        "withdrawn": "They are no longer an administrator.",
    },
)
