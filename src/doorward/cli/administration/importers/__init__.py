"""Other systems' exports, read into users as `POST /users/import` takes them. Pure but for reading the file.

files      CSV, JSON and JSON lines, a row at a time, with line numbers
rows       what every reader needs: a row into a user, or the reason why not
clerk, auth0, supabase, firebase, generic
           one system each: `user(row)`
"""
