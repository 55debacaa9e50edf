"""How each route's body is declared."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

from doorward.relay.http.routing import Body
from doorward.t3_connect import SchemaMismatch, decode_form, decode_json

T = TypeVar("T")

MAX_FORM_FIELDS = 32


def json_body(shape: type[T]) -> Body[T]:
    """JSON without NUL, which PostgreSQL cannot store and no peer has a use for."""

    def decode(raw: bytes) -> T:
        if b"\\u0000" in raw:
            raise SchemaMismatch("NUL in a string")
        return decode_json(shape, raw)

    return Body("application/json", shape, decode)


def form_body(shape: type[T], check: Callable[[T], bool]) -> Body[T]:
    """A form whose fields must also agree with one another, by `check`."""

    def decode(raw: bytes) -> T:
        try:
            pairs = parse_qsl(
                raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise SchemaMismatch("not a form") from error
        form = decode_form(shape, pairs)
        if not check(form):
            raise SchemaMismatch("fields that do not go together")
        return form

    return Body("application/x-www-form-urlencoded", shape, decode)
