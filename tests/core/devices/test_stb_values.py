"""What may be sent to a set-top box: single values."""

import pytest

from core.devices.rules import checked_event, checked_mac, checked_message, checked_targets, decoded_twice
from core.errors import InvalidInput

MAC = "00:1A:79:00:00:01"


@pytest.mark.parametrize(
    "text", [MAC, MAC.lower(), "00-1a-79-00-00-01", "001a79000001", f" {MAC}\t", "AA:BB:CC:DD:EE:FF"]
)
def test_a_mac_in_any_spelling(text: str) -> None:
    assert checked_mac(text) in (MAC, "AA:BB:CC:DD:EE:FF")


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "../accounts/", f"{MAC},{MAC}", f"{MAC}?", f"{MAC}#", f"{MAC}/..", "00:1A:79:00:00"),
        *("00:1A-79:00:00:01", "00:1A:79:00:00:0G", "001A790000011", "00:1A:79:00:00:０1", f"{MAC}\n{MAC}"),
    ],
)
def test_nothing_else_is_a_mac(text: str) -> None:
    with pytest.raises(InvalidInput):
        checked_mac(text)


def test_targets_are_parted_and_counted_once() -> None:
    assert checked_targets([f"{MAC}|001a79000001| |x", "x|00-1a-79-00-00-02"]) == [MAC, "x", "00:1A:79:00:00:02"]
    assert checked_targets(["y" * 1000]) == ["y" * 50]
    assert (
        len(checked_targets("|".join(f"00:1A:79:00:{n // 256:02X}:{n % 256:02X}" for n in range(500)).split("|")))
        == 500
    )


@pytest.mark.parametrize("texts", [[], [""], [" | "], ["|".join(str(number) for number in range(501))]])
def test_no_target_and_too_many(texts: list[str]) -> None:
    with pytest.raises(InvalidInput):
        checked_targets(texts)


@pytest.mark.parametrize("channel", ["", "0", "000", "1234567", "1&event=cut_off", "-1", "1.5", "²", "12a", "$1"])
def test_channels_are_numbers(channel: str) -> None:
    for event in ("play_channel", "play_radio_channel"):
        with pytest.raises(InvalidInput):
            checked_event(event, channel)
    assert checked_event("reboot", channel).channel is None


@pytest.mark.parametrize("event", ["", "REBOOT", "send_msg", "reboot&x=1", "play_channel$channel_number=1", "1"])
def test_only_the_known_events(event: str) -> None:
    with pytest.raises(InvalidInput):
        checked_event(event, "7")


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("50%25+off%21", "50% off!"),
        ("%D8%B3%D9%84%D8%A7%D9%85", "سلام"),
        ("50% off", "50% off"),
        ("50%25 off", "50%25 off"),
        ("a+b", "a+b"),
        ("100%", "100%"),
        ("%zz%20?", "%zz%20?"),
        ("%FF%FE", "%FF%FE"),
        ("%2541", "%41"),
        ("é%20", "é%20"),
    ],
)
def test_what_was_encoded_twice(text: str, decoded: str) -> None:
    assert decoded_twice(text) == decoded


def test_the_text_of_a_message() -> None:
    assert checked_message(" a\x00\x01\x1b\x7f\x85\tb\r\nc \n", None).text == "a\tb\r\nc"
    assert checked_message("x" * 4000, 1).ttl == 1
    assert checked_message("0", None).text == "0"
    assert checked_message("😀" * 4000, None).label == "😀" * 97 + "..."
    for text, ttl in (("", None), (" \n", None), ("\x01", None), ("x" * 4001, None), ("x", 0), ("x", -1), ("x", 2**31)):
        with pytest.raises(InvalidInput):
            checked_message(text, ttl)
