"""The administration console: the instance in the hands of its administrators, at `/admin` of the accounts origin.

| routes | file |
| --- | --- |
| `/admin` | `overview` |
| `/admin/users…` | `users` (all of them, a new one), `user` (one and its edits), `user_access`, `user_addresses` |
| `/admin/machines…` | `machines`, `machine_tokens` |
| `/admin/webhooks…` | `webhooks`, `webhook_deliveries` |
| `/admin/<section>…` | the file of that name |

What holds for every route is in `routing`: a change comes from a page of ours, `access` finds an administrator in the
request, or nothing there is to be seen. Pages call the services the Backend API calls, with the administrator's user id
as the actor; there is no SQL here and no second way to do anything. Everything works without scripts.

To add a section:

1. Write `<section>.py`. A page is `async def page(call: Call) -> Response`: `call.identity` has the services, `call.actor`
   goes into the audit trail, `call.path` and `call.query` are the request's, `await call.form_of(Shape)` reads a form.
   It answers with `call.page(template, …)`, with `call.form(template, …, refused)` after a `Refused`, or, once something
   was done, with `call.see(path, told="key")`; `told` names a sentence of the section, shown above the page.
2. End it with `SECTION = Section(title, path, group, pages=(…), told={…})`, and name it in `catalogue.SECTIONS`, which
   is also the order of the navigation. Paths begin with the section's.
3. A form has GET and POST at one path. What cannot be taken back is a `Question`: `asking(path, question, act)` makes both
   routes, and with `needs_proof=True` asks for the password first, unless that was done in the last ten minutes. A form
   of its own calls `call.require_recent_proof()` in both pages.
4. Templates extend `console.html` and import `console_components.html` (tables, filters, pages) beside `components.html`.
   Lists read `PAGE_SIZE + 1` rows and hand them to `paging.Pager`. Secrets are shown by the answer to the POST itself.
5. Tests: tests/identity_console; add its pages to the walk in `test_every_page.py` there, and look at the pictures.

Neighbours: `identity.pages` has the forms, the wording and the page of refusals; `web` draws.
"""

from doorward.identity.console.routing import routes

__all__ = ["routes"]
