"""The first page: how many there are of everything."""

from starlette.responses import Response

from doorward.identity.accounts.directory import Filter
from doorward.identity.console.call import Call
from doorward.identity.console.sections import Section


async def show(call: Call) -> Response:
    users = await call.identity.directory.count(Filter())
    return call.page("overview.html", users=users)


SECTION = Section("Overview", "/admin", "", pages=(("GET", "/admin", show),))
