"""Organizations: who belongs to which, in what role, and what the role may do.

Owns `identity_organizations`, `…_memberships`, `…_roles`, `…_permissions`, `…_role_permissions`, `…_domains` and
`…_suggestions`. A role is named by its key (`org:admin`), a permission too (`org:sys_memberships:manage`,
`org:<feature>:<action>`). Somebody who may manage an organization is always left in it: the check runs inside the
serialisable transaction of every change that could take the last one away. Neighbours: `invitations` brings people in by
ticket, `sessions` writes the active organization into tokens, `instance` says whether there are organizations at all.

    rules.py        names, slugs and keys; lookup.py finds rows or refuses
    store.py        organizations and memberships; role_store.py: roles and permissions
    service.py      organizations; memberships.py, roles.py, invitations.py, domains.py: what belongs to them
    enrollment.py   whom a domain brings in: invited by itself, or suggested, asking and let in

Methods take the `actor` who asks. A back end may do everything; with `as_member` the actor is a person, and
`lookup.require_for` is the one check of what their role lets them do.
"""
