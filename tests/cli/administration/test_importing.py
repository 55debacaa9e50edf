"""Files as other systems write them, users as they are here afterwards, and their passwords at the next sign-in."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.cli.administration.conftest import Installation

PASSWORD = "a quiet harbour at dusk"
CLERK_ID = "user_2abcDEFghiJKLmnoPQRstuVWXyz"


def bcrypt_of(password: str, prefix: bytes = b"2b") -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4, prefix)).decode()


def csv_of(*rows: dict[str, object]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "export"


def imported(installation: Installation, file: Path, system: str, *options: object, status: int = 0) -> Any:
    return installation.json("users", "import", file, "--from", system, *options, status=status)


def test_clerks_csv_keeps_ids_and_passwords(installation: Installation, file: Path) -> None:
    row = {
        "id": CLERK_ID,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "username": "countess",
        "primary_email_address": "ada@example.com",
        "primary_phone_number": "+15551234567",
        "verified_email_addresses": "ada@example.com|ada@work.example",
        "unverified_email_addresses": "old@example.com",
        "verified_phone_numbers": "+15551234567",
        "unverified_phone_numbers": "",
        "totp_secret": "",
        "password_digest": bcrypt_of(PASSWORD),
        "password_hasher": "bcrypt",
    }
    file.write_text(csv_of(row), "utf-8")
    assert imported(installation, file, "clerk")["created"] == 1
    user = installation.json("users", "show", CLERK_ID)
    assert [
        (one["email_address"], one["reserved"])
        for one in sorted(user["email_addresses"], key=lambda one: one["email_address"])
    ] == [
        ("ada@example.com", False),
        ("ada@work.example", False),
        ("old@example.com", True),
    ]
    assert installation.signs_in("ada@example.com", PASSWORD) == "complete"
    assert imported(installation, file, "clerk") == {
        "read": 1,
        "created": 0,
        "existing": 1,
        "skipped": 0,
        "refused": 0,
        "dryRun": False,
    }


def test_clerks_json_of_the_api_and_of_its_migration_script(installation: Installation, file: Path) -> None:
    file.write_text(
        json.dumps(
            [
                {
                    "id": CLERK_ID,
                    "external_id": "e-1",
                    "first_name": "Ada",
                    "last_name": None,
                    "username": None,
                    "primary_email_address_id": "idn_2",
                    "primary_phone_number_id": None,
                    "email_addresses": [
                        {"id": "idn_1", "email_address": "old@example.com", "verification": None},
                        {
                            "id": "idn_2",
                            "email_address": "ada@example.com",
                            "verification": {"status": "verified"},
                        },
                    ],
                    "phone_numbers": [],
                    "banned": True,
                    "created_at": 1_600_000_000_000,
                    "public_metadata": {"plan": "pro"},
                    "private_metadata": {},
                    "unsafe_metadata": {},
                },
                {
                    "userId": "7",
                    "email": "bob@example.com",
                    "firstName": "Bob",
                    "password": bcrypt_of(PASSWORD),
                },
            ],
            indent=2,
        ),
        "utf-8",
    )
    assert imported(installation, file, "clerk")["created"] == 2
    ada = installation.json("users", "show", "e-1")
    assert (ada["id"], ada["banned"], ada["created_at"], ada["public_metadata"]) == (
        CLERK_ID,
        True,
        1_600_000_000_000,
        {"plan": "pro"},
    )
    assert ada["primary_email_address_id"] == next(
        one["id"] for one in ada["email_addresses"] if one["email_address"] == "ada@example.com"
    )
    assert installation.json("users", "show", "bob@example.com")["external_id"] == "7"
    assert installation.signs_in("bob@example.com", PASSWORD) == "complete"


def test_auth0s_hashes_and_its_bulk_export(installation: Installation, file: Path) -> None:
    hashed = [
        {
            "_id": {"$oid": "5dea9f9c82dd7c0e76e4ec93"},
            "email_verified": False,
            "email": "ada@example.com",
            "passwordHash": bcrypt_of(PASSWORD),
            "password_set_date": {"$date": "2019-12-06T18:36:12.412Z"},
            "tenant": "example",
            "connection": "Username-Password-Authentication",
            "_tmp_is_unique": True,
        },
        {
            "_id": {"$oid": "5dea9f9c82dd7c0e76e4ec94"},
            "alt_id": "euclid",
            "passwordHash": bcrypt_of(PASSWORD),
            "identifiers": [{"type": "email", "value": "euclid@example.com", "verified": True}],
        },
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in hashed), "utf-8")
    assert imported(installation, file, "auth0")["created"] == 2
    assert installation.json("users", "show", "auth0|5dea9f9c82dd7c0e76e4ec93")["email_addresses"][0][
        "reserved"
    ]
    assert (
        installation.json("users", "show", "auth0|euclid")["email_addresses"][0]["verification"]["status"]
        == "verified"
    )
    for address in ("ada@example.com", "euclid@example.com"):
        assert installation.signs_in(address, PASSWORD) == "complete"

    bulk = {
        "user_id": "auth0|6aaa",
        "email": "cleo@example.com",
        "email_verified": True,
        "name": "Cleo of Alexandria",
        "created_at": "2020-01-02T03:04:05.000Z",
        "blocked": True,
        "user_metadata": {"colour": "green"},
        "app_metadata": {"roles": ["queen"]},
    }
    file.write_text(
        json.dumps(bulk) + "\n" + json.dumps({"user_id": "sms|1", "phone_number": "+15550000001"}) + "\n"
    )
    report = imported(installation, file, "auth0")
    assert (report["created"], report["skipped"]) == (1, 1)
    cleo = installation.json("users", "show", "auth0|6aaa")
    assert (cleo["first_name"], cleo["last_name"], cleo["banned"]) == ("Cleo", "of Alexandria", True)
    assert (cleo["unsafe_metadata"], cleo["private_metadata"]) == ({"colour": "green"}, {"roles": ["queen"]})


SUPABASE = {
    "instance_id": "00000000-0000-0000-0000-000000000000",
    "id": "6c27a7b2-6d06-4ba0-a7a6-5cbfab1d9a3e",
    "aud": "authenticated",
    "role": "authenticated",
    "email": "ada@example.com",
    "email_confirmed_at": "2023-05-01 10:20:30.123456+00",
    "phone": "15551234567",
    "phone_confirmed_at": "",
    "raw_app_meta_data": '{"provider": "email", "providers": ["email"]}',
    "raw_user_meta_data": '{"full_name": "Ada Lovelace"}',
    "created_at": "2023-05-01 10:20:00+00",
    "banned_until": "",
    "deleted_at": "",
    "is_anonymous": "f",
}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_supabases_rows(installation: Installation, file: Path, form: str) -> None:
    ada = {**SUPABASE, "encrypted_password": bcrypt_of(PASSWORD, b"2a")}
    gone = {**ada, "id": "1", "email": "gone@example.com", "deleted_at": "2024-01-01 00:00:00+00"}
    banned = {
        **ada,
        "id": "2",
        "email": "bob@example.com",
        "banned_until": "2999-01-01 00:00:00+00",
        "phone": "",
    }
    nobody = {**ada, "id": "3", "email": "", "is_anonymous": "t"}
    rows = [ada, gone, banned, nobody]
    file.write_text(csv_of(*rows) if form == "csv" else json.dumps(rows), "utf-8")
    report = imported(installation, file, "supabase")
    assert (report["created"], report["skipped"]) == (2, 2)
    user = installation.json("users", "show", SUPABASE["id"])
    assert (user["first_name"], user["last_name"]) == ("Ada", "Lovelace")
    assert user["phone_numbers"][0]["phone_number"] == "+15551234567"
    assert user["created_at"] == 1_682_936_400_000
    assert installation.json("users", "show", "2")["banned"]
    assert installation.signs_in("ada@example.com", PASSWORD) == "complete"


HASH_CONFIG = """hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
"""
FIREBASE = {
    "localId": "k1",
    "email": "ada@example.com",
    "emailVerified": True,
    "passwordHash": "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==",
    "salt": "42xEC+ixf3L2lw==",
    "displayName": "Ada Lovelace",
    "lastSignedInAt": "1700000000000",
    "createdAt": "1600000000000",
    "phoneNumber": "+15551234567",
    "disabled": False,
    "customAttributes": '{"admin":true}',
    "providerUserInfo": [],
}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_firebases_accounts_with_its_own_scrypt(installation: Installation, file: Path, form: str) -> None:
    config = file.with_name("hash_config")
    config.write_text(HASH_CONFIG, "utf-8")
    if form == "json":
        phone = {"localId": "k2", "phoneNumber": "+15550000002"}
        file.write_text(json.dumps({"users": [FIREBASE, phone]}, indent=2), "utf-8")
    else:
        cells: list[object] = [""] * 28
        for place, name in (
            (0, "localId"),
            (1, "email"),
            (3, "passwordHash"),
            (4, "salt"),
            (5, "displayName"),
            (23, "createdAt"),
            (24, "lastSignedInAt"),
            (25, "phoneNumber"),
        ):
            cells[place] = FIREBASE[name]
        cells[2], cells[26], cells[27] = "true", "false", '"{""admin"":true}"'
        phone_only = ["k2", *[""] * 24, "+15550000002", "false", ""]
        file.write_text("".join(",".join(map(str, row)) + ",\n" for row in (cells, phone_only)), "utf-8")
    report = imported(installation, file, "firebase", "--hash-config", config)
    assert (report["created"], report["skipped"]) == (1, 1)
    user = installation.json("users", "show", "k1")
    assert (user["first_name"], user["last_name"], user["created_at"]) == (
        "Ada",
        "Lovelace",
        1_600_000_000_000,
    )
    assert user["public_metadata"] == {"admin": True}
    # The password of the vector that Firebase publishes.
    assert installation.signs_in("ada@example.com", "user1password") == "complete"
    assert (
        installation.signs_in("ada@example.com", "user2password") == "form_password_or_identifier_incorrect"
    )


def test_a_generic_csv_with_columns_of_other_names(either: Installation, file: Path) -> None:
    rows = [
        {"Mail": "ada@example.com", "Given": "Ada", "Hash": bcrypt_of(PASSWORD), "uid": "7"},
        {"Mail": "bob@example.com", "Given": "Bob", "Hash": "", "uid": "8"},
    ]
    file.write_text(csv_of(*rows), "utf-8")
    options = [
        "--column",
        "email_address=Mail",
        "--column",
        "first_name=Given",
        "--column",
        "password_digest=Hash",
    ]
    report = imported(either, file, "generic", *options, "--column", "external_id=uid", "--hasher", "bcrypt")
    assert report["created"] == 2
    assert either.json("users", "show", "7")["password_enabled"]
    assert not either.json("users", "show", "8")["password_enabled"]
    assert either.signs_in("ada@example.com", PASSWORD) == "complete"


def test_refused_rows_are_told_with_line_and_reason_and_the_others_are_here(
    either: Installation, file: Path
) -> None:
    either.run("users", "create", "taken@example.com", "--external-id", "other")
    rows = [
        {"email_address": "ada@example.com", "external_id": "1", "username": "countess", "created_at": ""},
        {"email_address": "nonsense", "external_id": "2", "username": "", "created_at": ""},
        {"email_address": "taken@example.com", "external_id": "3", "username": "", "created_at": ""},
        {"email_address": "eve@example.com", "external_id": "4", "username": "Countess", "created_at": ""},
        {"email_address": "bob@example.com", "external_id": "5", "username": "", "created_at": "yesterday"},
        {"email_address": "ada@example.com", "external_id": "1", "username": "", "created_at": ""},
        {"email_address": "cleo@example.com", "external_id": "6", "username": "", "created_at": "2020-01-01"},
    ]
    file.write_text(csv_of(*rows), "utf-8")
    rejects = file.with_name("rejects")
    report = imported(either, file, "generic", "--rejects", rejects, status=1)
    assert (report["created"], report["existing"], report["refused"]) == (2, 1, 4)
    refused = [json.loads(line) for line in rejects.read_text("utf-8").splitlines()]
    assert sorted((one["line"], one["code"], one["externalId"]) for one in refused) == [
        (3, "form_param_format_invalid", "2"),
        (4, "form_identifier_exists", "3"),
        (5, "form_identifier_exists", "4"),
        (6, "row_invalid", None),
    ]
    assert "yesterday" in next(one["reason"] for one in refused if one["line"] == 6)
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert either.say("users", "count") == "3\n"


def test_a_dry_run_judges_every_row_and_makes_nobody(either: Installation, file: Path) -> None:
    file.write_text('[{"email_address": ["ada@example.com"]}, {"email_address": ["bad"]}]', "utf-8")
    report = imported(either, file, "generic", "--dry-run", status=1)
    assert (report["created"], report["refused"], report["dryRun"]) == (1, 1, True)
    assert either.say("users", "count") == "0\n"


def test_an_interrupted_import_is_run_again_and_makes_nobody_twice(
    installation: Installation, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorward.cli.administration.importing.BATCH", 3)
    lines = [json.dumps({"email_address": [f"person{n}@example.com"]}) + "\n" for n in range(10)]
    file.write_text("".join(lines[:7]) + "{broken", "utf-8")
    assert installation.refusal("users", "import", file, "--from", "generic")["code"] == "file_broken"
    assert installation.say("users", "count") == "6\n"  # two batches; the third was not full yet
    file.write_text("".join(lines), "utf-8")
    report = imported(installation, file, "generic")
    assert (report["created"], report["existing"]) == (4, 6)


def test_a_file_is_read_a_piece_at_a_time(tmp_path: Path) -> None:
    from doorward.cli.administration.importers.files import PIECE, Rows

    rows = [{"n": n, "text": "ä" * 700} for n in range(3000)]
    path = tmp_path / "users.json"
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")
    assert path.stat().st_size > 3 * PIECE
    with Rows(path) as read:
        begun = iter(read)
        first_line, first = next(begun)
        assert read.share < 0.5
        rest = list(begun)
    assert [first, *(row for _, row in rest)] == rows
    assert (first_line, rest[0][0], rest[-1][0]) == (2, 6, 2 + 4 * 2999)


def test_users_of_one_millisecond_all_find_their_place(installation: Installation, file: Path) -> None:
    moment = "2020-01-01T00:00:00Z"
    lines = [{"email_address": [f"p{n}@example.com"], "created_at": moment} for n in range(400)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert imported(installation, file, "generic")["created"] == 400
    assert len(installation.json("users", "list", "--limit", 500)) == 400


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00", "UTF-8"),
        (b'[{"email_address": ["a@example.com"]}, 7]', "a user is an object"),
        (b'{"other": []}', "no list"),
        (b'[{"email_address": ["a@example.com"]},', "before its list does"),
    ],
)
def test_what_is_no_export_is_refused_before_anybody_is_made(
    installation: Installation, file: Path, content: bytes, reason: str
) -> None:
    file.write_bytes(content)
    system = "firebase" if b"other" in content else "generic"
    error = installation.refusal("users", "import", file, "--from", system)
    assert reason in error["message"]
    assert installation.say("users", "count") == "0\n"


def test_a_hash_config_that_is_none_is_refused(installation: Installation, file: Path) -> None:
    file.write_text(json.dumps({"users": [FIREBASE]}), "utf-8")
    config = file.with_name("config")
    config.write_text("hash_config { algorithm: BCRYPT }")
    assert (
        "BCRYPT"
        in installation.refusal(
            "users", "import", file, "--from", "firebase", "--hash-config", config, status=2
        )["message"]
    )
    config.write_text("hash_config { rounds: 8 }")
    assert (
        "base64_signer_key"
        in installation.refusal(
            "users", "import", file, "--from", "firebase", "--hash-config", config, status=2
        )["message"]
    )


@pytest.mark.parametrize(("form", "system"), [("json", "generic"), ("csv", "clerk")])
def test_what_is_exported_can_be_imported_elsewhere(
    installation: Installation, file: Path, form: str, system: str
) -> None:
    file.write_text(
        json.dumps(
            {
                "id": CLERK_ID,
                "external_id": "e-1",
                "email_address": ["ada@example.com", "old@example.com"],
                "email_address_identification_status": ["verified", "reserved"],
                "phone_number": ["+15551234567"],
                "username": "countess",
                "first_name": 'Ada, "Countess"',
                "last_name": "Lovelace\u00e9",
                "locale": "en-GB",
                "banned": False,
                "created_at": "2020-01-02T03:04:05Z",
                "public_metadata": {"plan": "pro", "nested": {"a": [1, 2]}},
                "private_metadata": {"note": "a|b,c"},
                "password_digest": bcrypt_of(PASSWORD),
                "password_hasher": "bcrypt",
            }
        ),
        "utf-8",
    )
    imported(installation, file, "generic")
    installation.run("users", "create", "bob@example.com", "--password-stdin", typed=f"{PASSWORD}\n")
    before = sorted(installation.json("users", "list"), key=lambda user: str(user["id"]))
    exported = file.with_name("out")
    answer = installation.json("users", "export", exported, "--format", form, "--with-password-hashes")
    assert answer["counts"] == {"users": 2}
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    installation.run("users", "delete", "ada@example.com", "bob@example.com", "--yes")
    assert imported(installation, exported, system)["created"] == 2
    after = sorted(installation.json("users", "list"), key=lambda user: str(user["id"]))
    assert [comparable(user) for user in after] == [comparable(user) for user in before]
    for address in ("ada@example.com", "bob@example.com"):
        assert installation.signs_in(address, PASSWORD) == "complete"


def comparable(user: dict[str, Any]) -> dict[str, Any]:
    """Without what is new in every place: times of change, and the ids of addresses."""
    owned = sorted((one["email_address"], one["reserved"]) for one in user["email_addresses"])
    numbers = [one["phone_number"] for one in user["phone_numbers"]]
    primary = next(
        one["email_address"]
        for one in user["email_addresses"]
        if one["id"] == user["primary_email_address_id"]
    )
    left_out = {
        "email_addresses",
        "phone_numbers",
        "primary_email_address_id",
        "primary_phone_number_id",
        "updated_at",
        "password_last_updated_at",
        "last_active_at",
        "last_sign_in_at",
    }
    return {
        **{k: v for k, v in user.items() if k not in left_out},
        "owned": owned,
        "numbers": numbers,
        "primary": primary,
    }


def test_hashes_are_given_to_the_operator_of_the_machine_alone(either: Installation, file: Path) -> None:
    either.run("users", "create", "ada@example.com", "--password-stdin", typed=f"{PASSWORD}\n")
    is_here = either.way[0] == "--config"
    if is_here:
        either.run("users", "export", file, "--with-password-hashes")
        assert "argon2id" in file.read_text("utf-8")
        assert ("user.password_hashes_read") in [action for _, action in either.audit()]
    else:
        assert (
            either.refusal("users", "export", file, "--with-password-hashes", status=2)["code"]
            == "local_only"
        )
        assert not file.exists()
        assert either.refusal("keys", "secret", "list", status=2)["code"] == "local_only"
    without = file.with_name("without")
    either.run("users", "export", without)
    assert "argon2" not in without.read_text("utf-8")
    assert not [name for name in os.listdir(file.parent) if name.startswith(".")]
