"""Numbers, addresses and ids of the SMS provider: what is called, and with what (contract chapter 60 S5)."""

import socket

import pytest
from pydantic import SecretStr

from core.config import Sms
from core.errors import InvalidInput
from core.messages.delivery import Outcome
from core.messages.sms.numbers import provider_number
from core.messages.sms.provider import ProviderAccount, SmsDelivery, SmsProvider, Text, checked_address
from core.messages.sms.settings import mask
from simulators.sms_provider import SmsProvider as Simulator


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+440000000001", "", "+440000000001"),
        ("+44 (20) 1234-56.78", "", "+442012345678"),
        ("00442012345678", "", "+442012345678"),
        ("442012345678", "", "+442012345678"),
        ("09121234567", "98", "+989121234567"),
        ("0912 123 4567", "+98", "+989121234567"),
        ("09121234567", "", "09121234567"),
        ("1234567", "", "1234567"),
        ("1234", "", None),
        ("+1234567890123456", "", None),
        ("+0123456789", "", "0123456789"),
        ("0000123456789", "", "+123456789"),
        ("012", "98", None),
        ("+44x2012345678", "", None),
        ("۰۹۱۲۱۲۳۴۵۶۷", "98", "+989121234567"),
        ("++442012345678", "", None),
        ("", "", None),
        (None, "", None),
    ],
)
def test_numbers(text: str | None, country: str, number: str | None) -> None:
    assert provider_number(text, country) == number


OPEN = Sms(provider_hosts=("edge.ippanel.com", "gateway.example:8443"))


@pytest.mark.parametrize(
    "address",
    ["https://edge.ippanel.com/v1", "https://EDGE.ippanel.com:443/v1//", "https://gateway.example:8443"],
)
def test_allowed_addresses(address: str) -> None:
    assert checked_address(OPEN, address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    [
        "http://edge.ippanel.com/v1",
        "https://edge.ippanel.com:444/v1",
        "https://gateway.example/v1",
        "https://edge.ippanel.com.evil.example/v1",
        "https://edge.ippanel.com@evil.example/v1",
        "https://evil.example/https://edge.ippanel.com",
        "https://edge.ippanel.com/../v1",
        "https://edge.ippanel.com/v1?x=1",
        "https://edge.ippanel.com/v1#x",
        "https://edge.ippanel.com/v1\r\nX: y",
        "https://edge.ippanel.com\\@evil.example/",
        "https://edge.ippanel.com:99999/",
        "https://[::1]/v1",
        "https://127.0.0.1/v1",
        "file:///etc/passwd",
        "edge.ippanel.com",
        "https://edge.ippanel.com/" + "x" * 200,
    ],
)
def test_refused_addresses(address: str) -> None:
    with pytest.raises(InvalidInput):
        checked_address(OPEN, address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "192.168.1.1", "::1"])
def test_an_allowed_name_in_a_private_network_is_not_called(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name itself is allowed; what it means is looked at when connecting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if host == "localhost" else host, 443))]
    monkeypatch.setattr("core.outbound.timed_http._addresses", lambda *_: found)
    client = SmsProvider(Sms())
    account = ProviderAccount(SecretStr("secret-token"), "+44", "https://edge.ippanel.com/v1")
    delivery = client.send(account, [Text("+440000000001", "hi")], 1.0)
    client.close()
    assert (delivery.outcome, delivery.error) == (Outcome.REFUSED, "The SMS provider has no public address")


@pytest.mark.parametrize("token", ["line\nbreak", "tökén", ""])
def test_a_token_that_no_header_can_hold_is_not_sent(token: str) -> None:
    with Simulator() as simulator:
        client = SmsProvider(Sms(provider_hosts=(simulator.address,), allow_private=True))
        account = ProviderAccount(SecretStr(token), "+44", simulator.base_url)
        assert client.send(account, [Text("+440000000001", "hi")], 1.0).outcome is Outcome.REFUSED
        client.close()
        assert simulator.requests == []


def test_what_the_simulator_refuses_is_refused() -> None:
    with Simulator(tokens=["right"]) as simulator:
        client = SmsProvider(Sms(provider_hosts=(simulator.address,), allow_private=True))
        wrong = ProviderAccount(SecretStr("wrong-token"), "+44", simulator.base_url)
        assert client.send(wrong, [Text("+440000000001", "hi")], 5.0).error == "the token is not valid"
        right = ProviderAccount(SecretStr("right"), "+44", simulator.base_url)
        refused = client.send(right, [Text("+440000000001", "")], 5.0)
        assert (refused.outcome, refused.error) == (Outcome.REFUSED, "the request cannot be read")
        assert client.send(right, [Text("+440000000001", "hi")], 5.0).outcome is Outcome.SENT
        elsewhere = ProviderAccount(SecretStr("right"), "+44", simulator.base_url + "/other")
        assert client.send(elsewhere, [Text("+440000000001", "hi")], 5.0).error == "HTTP 404"
        client.close()
        assert simulator.texts == [("+440000000001", "hi")]


@pytest.mark.parametrize(
    ("ids", "of", "kept"),
    [((), 1, None), (("7",), 1, "7"), (("7",), 3, "7"), (("7", "8"), 2, "8"), (("7", "8"), 3, "7,8")],
)
def test_ids_of_the_provider(ids: tuple[str, ...], of: int, kept: str | None) -> None:
    assert SmsDelivery(Outcome.SENT, bulk_ids=ids).bulk_id(min(1, of - 1), of) == kept
    assert len(SmsDelivery(Outcome.SENT, bulk_ids=("1" * 60,) * 3).bulk_id(0, 9) or "") == 100


def test_masks() -> None:
    bullets = "\N{BULLET}" * 8
    assert [mask(token) for token in ("", "elevenchars", "twelve-chars")] == ["", bullets, f"{bullets}hars"]
