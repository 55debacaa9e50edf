"""The six words people compare."""

import re
from hashlib import sha256

from doorward.jose import WORDS, key_phrase
from tests.jose.keyring import EC, EC_OTHER

THUMBPRINT = "Nrqg3-M_Xwtx-1tbtc1J7Xul2DyeC0bUSy9u_5NSG6g"


def test_there_are_2048_short_plain_words_in_order() -> None:
    assert len(WORDS) == 2048
    assert list(WORDS) == sorted(set(WORDS))
    assert all(re.fullmatch(r"[a-z]{3,8}", word) for word in WORDS)


def test_four_letters_tell_any_word() -> None:
    assert len({word[:4] for word in WORDS}) == 2048


def test_no_two_words_of_the_list_sound_alike() -> None:
    pairs = (
        "altar alter,bare bear,blew blue,brake break,buoy boy,cell sell,cent scent,cereal serial,cite sight,cord chord,"
        "dear deer,dew due,fair fare,flour flower,grate great,hair hare,hole whole,hour our,idle idol,knight night,"
        "knot not,mail male,meat meet,medal metal,morning mourning,none nun,one won,pail pale,pain pane,pair pear,"
        "peace piece,plain plane,prince prints,rain reign,read red,right write,role roll,root route,rose rows,sail sale,"
        "sauce source,sea see,shore sure,some sum,son sun,stair stare,steal steel,suite sweet,symbol cymbal,tail tale,"
        "thyme time,tide tied,tire tyre,toe tow,two too,vale veil,vain vein,waist waste,wait weight,weak week,"
        "weather whether,which witch,wood would,yolk yoke,byte bite,dairy diary,adapt adopt"
    )
    for pair in pairs.split(","):
        assert not set(pair.split()) <= set(WORDS), pair


def test_the_phrase_is_the_first_66_bits_of_the_hash_eleven_at_a_time() -> None:
    bits = "".join(f"{byte:08b}" for byte in sha256(THUMBPRINT.encode()).digest())
    expected = [WORDS[int(bits[place : place + 11], 2)] for place in range(0, 66, 11)]
    assert key_phrase(THUMBPRINT) == " ".join(expected)


def test_a_known_thumbprint_keeps_its_phrase() -> None:
    """A change here changes what people see for keys they approved: never change it."""
    assert key_phrase(THUMBPRINT) == "patio lavender tiptoe daily vessel uncle"


def test_different_keys_have_different_phrases() -> None:
    assert key_phrase(EC.thumbprint) != key_phrase(EC_OTHER.thumbprint)
    assert len(key_phrase(EC.thumbprint).split()) == 6
