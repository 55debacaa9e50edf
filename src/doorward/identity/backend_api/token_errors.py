"""Refusals of M2M tokens, API keys and the check of OAuth access tokens, which are a service of their own at Clerk.

Its errors have a code and two sentences and nothing else, and whatever is wrong with a query or body is 400 `bad_request`.
"""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from doorward.identity.answers import json
from doorward.identity.errors import BAD_REQUEST, REQUEST_BODY_INVALID, Problem, Refused


class TokenError(msgspec.Struct):
    message: str
    long_message: str
    code: str


class TokenErrorBody(msgspec.Struct):
    errors: list[TokenError]


def token_error_response(refused: Refused, method: str) -> Response:
    where = "query" if method == "GET" else "body"
    problems = [_of_this_family(problem, where) for problem in refused.errors]
    items = [TokenError(problem.message, problem.text, problem.code) for problem in problems]
    response = json(TokenErrorBody(items), problems[0].status)
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _of_this_family(problem: Problem, where: str) -> Problem:
    """Everything the readers of queries and bodies find is one code here."""
    if problem.status == 422:
        field = f"{where}.{problem.param}" if problem.param else where
        reason = problem.text.removeprefix(f"{problem.param}: ")
        return BAD_REQUEST.at(long_message=f"Invalid '{field}': {reason}")
    if problem.code == REQUEST_BODY_INVALID.code:
        return BAD_REQUEST.at(long_message=problem.text)
    return problem
