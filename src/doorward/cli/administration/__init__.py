"""Administration by commands: users, machines, keys, templates, the waitlist, webhooks, organizations and what belongs to them.

Every command is a client of the Backend API and knows no other way to the data: over HTTP with a secret key (`--url`), or on the
server's own machine as its operator, where `server.local_api` calls the same application in this process.

    api            the two ways, and refusals in words
    options        what every command takes; `administration` makes a function a command
    tables         lists and single things for people
    answers        lists, single things and changes, for people and programs
    users, machines, api_keys, secret_keys, templates, waitlist, invitations, webhooks, organizations, oauth
                   one group each
    importing      `users import`; importers/ reads other systems' files
    exporting      `users export`, `export`
"""
