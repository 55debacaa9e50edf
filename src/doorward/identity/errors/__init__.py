"""The table of Clerk's errors: every code, status and sentence both APIs answer with, by subject.

    problem        Refused, raised by services: one or more `Problem`s of one status
                     └ .errors: Problem     code, message, long_message, meta
    requests       the shape, parameters, origin and pace of any request
    people         accounts, sign-up and sign-in, sessions, invitations, the waitlist
    organizations  members, roles, permissions
    services       keys, machines, templates, OAuth applications, domains, webhooks

The wire shape is `{"errors": [{message, long_message, code, meta}], "clerk_trace_id"}` (`answers`). Everything is imported
from here, so that a row can move without its readers.
"""

from doorward.identity.errors.organizations import *
from doorward.identity.errors.people import *
from doorward.identity.errors.problem import *
from doorward.identity.errors.requests import *
from doorward.identity.errors.services import *
