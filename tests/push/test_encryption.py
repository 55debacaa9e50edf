"""Message encryption against the example of RFC 8291, and subscriptions that are none."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from doorward.jose import b64url_decode, b64url_encode
from doorward.push import Subscription, SubscriptionInvalid, VapidKey
from doorward.push.encryption import MAX_PLAINTEXT, encrypt, padded
from tests.push.services import Browser

# RFC 8291, appendix A.
PLAINTEXT = b64url_decode("V2hlbiBJIGdyb3cgdXAsIEkgd2FudCB0byBiZSBhIHdhdGVybWVsb24")
SENDER = int.from_bytes(b64url_decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
RECEIVER = b64url_decode(
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
AUTH = b64url_decode("BTBZMqHH6r4Tts7J_aSIgg")
SALT = b64url_decode("DGv6ra1nlYgDCS1FRnbzlw")
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
    "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_rfc_comes_out_byte_for_byte() -> None:
    sender = ec.derive_private_key(SENDER, ec.SECP256R1())
    receiver = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), RECEIVER)
    body = encrypt(PLAINTEXT, receiver=receiver, auth=AUTH, sender=sender, salt=SALT)
    assert b64url_encode(body) == MESSAGE


@pytest.mark.parametrize("size", [2, 511, 512, 513, MAX_PLAINTEXT])
def test_a_browser_reads_what_was_sent_and_its_service_sees_a_coarse_size_only(size: int) -> None:
    browser = Browser("https://push.example/1")
    keys = browser.subscription["keys"]
    subscription = Subscription.of(endpoint=browser.endpoint, **keys)
    text = '"' + "x" * (size - 2) + '"'
    sealed = padded(text.encode())
    body = encrypt(sealed, receiver=subscription.receiver(), auth=subscription.secret())
    assert browser.decrypt(body) == "x" * (size - 2)
    assert len(sealed) % 512 == 0 or len(sealed) == MAX_PLAINTEXT
    assert len(body) <= 4096


def test_a_message_that_no_push_service_has_to_take_is_not_made() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(ValueError, match="3993"):
        encrypt(bytes(MAX_PLAINTEXT + 1), receiver=key, auth=bytes(16))


GOOD = Browser("https://push.example/1").subscription["keys"]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"endpoint": "http://push.example/1"}, "endpoint"),
        ({"endpoint": "https://user:secret@push.example/1"}, "endpoint"),
        ({"endpoint": "https:///1"}, "endpoint"),
        ({"endpoint": "https://push.example:port/1"}, "endpoint"),
        ({"endpoint": "https://push.example/" + "x" * 1024}, "endpoint"),
        ({"endpoint": "https://push.example/\r\nx: y"}, "endpoint"),
        ({"p256dh": GOOD["p256dh"][:-4]}, "p256dh"),
        ({"p256dh": b64url_encode(b"\x04" + bytes(64))}, "p256dh"),
        ({"p256dh": "not base64"}, "p256dh"),
        ({"auth": b64url_encode(bytes(15))}, "auth"),
        ({"auth": ""}, "auth"),
    ],
)
def test_what_is_no_subscription_is_refused_by_its_part(changes: dict[str, str], part: str) -> None:
    whole = {"endpoint": "https://push.example/1", **GOOD}
    with pytest.raises(SubscriptionInvalid, match=part):
        Subscription.of(**{**whole, **changes})


def test_a_subscription_comes_back_from_its_text_and_never_shows_its_endpoint() -> None:
    made = Subscription.of(endpoint="https://push.example/secret", **GOOD)
    assert Subscription.from_text(made.to_text()) == made
    assert "secret" not in repr(made)
    with pytest.raises(SubscriptionInvalid):
        Subscription.from_text('{"endpoint": "https://push.example/1"}')


def test_the_vapid_key_survives_its_pem() -> None:
    key = VapidKey.generate()
    assert VapidKey.from_pem(key.to_pem()).public == key.public
    assert len(b64url_decode(key.public)) == 65
