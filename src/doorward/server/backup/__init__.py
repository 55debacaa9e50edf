"""Backup and restore: everything an installation would miss, in one file, taken while it runs.

    places.py       where an installation keeps what, from doorward.toml, an env file or a data folder
    archive.py      the file: members with checksums, a manifest last
    postgresql.py   our tables as COPY data, of one snapshot
    service.py      backup, restore

The archive is a gzipped tar of

    server.sqlite               an online copy, or
    server.postgresql/<table>   COPY text, one member a table
    machine.sqlite              the machine's own state, where there is one
    files/<path>                key files, secrets, device keys
    manifest.json               version of the format and of each schema, checksums, ids of the keys that open it

The key-encryption key is left out unless asked for: who has the archive alone then signs nothing.
"""
