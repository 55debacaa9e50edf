"""The relay's HTTP framing: what every route shares and no route repeats.

Matching (404 and never 405, trailing slash, percent-decoded parameters), CORS, the order authentication → headers
→ body → handler, body limits, trace ids, deadlines, and the turning of errors into responses. Knows nothing of
links or tokens: a route brings its guard, its body type and its handler. Neighbour: `api`, which lists the routes.
"""
