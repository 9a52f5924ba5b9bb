"""Which counters a start counts against, what rules find, and what a guess budget may allow."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.guard import Limit, Limits, network_of, shared_limits
from service.domain.guess_budget import GuessBudget, parse_budget
from service.domain.recipient import NumberType, parse_recipient
from service.domain.rules import Action, Finding, Rule, Rules

ONE = (Limit(1, 60),)
US = parse_recipient("+12025550123")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("2001:DB8:0:0:1::7", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_an_address_is_counted_by_what_one_person_holds(address: str, network: str) -> None:
    assert network_of(address) == network


@given(st.ip_addresses(v=6))
def test_every_address_of_a_64_is_counted_alike(address: ipaddress.IPv6Address) -> None:
    if address.ipv4_mapped is None:
        assert network_of(address.exploded) == network_of(str(address))
        assert address in ipaddress.ip_network(network_of(str(address)))


def test_a_start_without_an_address_shares_the_bucket_of_its_app() -> None:
    limits = Limits(client_ip=ONE, without_client_ip=ONE)

    def names(client_ip: str | None, limits: Limits = limits) -> list[tuple[str, str]]:
        found = shared_limits(
            limits, app="a", client_ip=client_ip, prefix="p", country="US", limit_keys={}
        )
        return [(key.limit, key.value) for key in found]

    assert names("192.0.2.7") == [("client_ip", "192.0.2.7")]
    assert names(None) == [("without_client_ip", "a")]
    assert names(None, Limits(without_client_ip=ONE)) == []  # client_ip is off


def test_the_callers_own_keys_are_counted_by_name_and_app() -> None:
    limits = Limits(keys={"device": ONE, "off": (), "*": (Limit(2, 60),)})
    found = shared_limits(
        limits,
        app="a",
        client_ip=None,
        prefix="p",
        country="US",
        limit_keys={"device": "d", "off": "o", "cart": "c"},
    )
    assert [(key.limit, key.value, key.windows[0].count) for key in found] == [
        ("limit_keys.device", "a|d", 1),
        ("limit_keys.cart", "a|c", 2),
    ]


@pytest.mark.parametrize("action", Action)
def test_a_country_has_its_own_rule_or_that_of_all_others(action: Action) -> None:
    found = Rules({"US": action, "*": Action.BLOCK}).judge(US)
    wanted = () if action is Action.ALLOW else (Finding(Rule.COUNTRY, "US", action),)
    assert found == wanted
    elsewhere = Rules({"FR": Action.ALLOW, "*": action}).judge(US)
    assert elsewhere == wanted


def test_a_number_type_has_its_rule_too() -> None:
    premium = parse_recipient("+19005551234")
    rules = Rules({"US": Action.MONITOR}, {NumberType.PREMIUM: Action.RECORD_ONLY})
    assert [finding.to_event() for finding in rules.judge(premium)] == [
        {"rule": "country", "value": "US", "action": "monitor"},
        {"rule": "number_type", "value": "premium", "action": "record_only", "would": "block"},
    ]


@pytest.mark.parametrize(
    ("limit", "reserve", "said"),
    [
        (Limit(101, 86_400), None, "at most 100"),
        (Limit(10, 60), None, "at least 3600"),
        (Limit(5, 86_400), 5, "smaller"),
    ],
)
def test_a_budget_beyond_nist_is_refused(limit: Limit, reserve: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_budget(limit, reserve, ())


def test_a_client_is_known_by_its_network_and_device_and_not_by_the_account() -> None:
    budget = GuessBudget()

    def clients(address: str, device: str, recipient: str = "r") -> tuple[str, ...]:
        return budget.clients(
            lambda purpose, value: value,
            app="a",
            recipient_id=recipient,
            client_ip=address,
            limit_keys={"device": device, "user": "u", "client_ip": "forged"},
        )

    assert clients("2001:db8::1", "d") == clients("2001:db8::2", "d")
    assert len(clients("192.0.2.1", "d")) == 2
    assert set(clients("192.0.2.1", "d")) & set(clients("192.0.2.1", "e"))
    assert not set(clients("192.0.2.1", "d")) & set(clients("192.0.2.1", "d", recipient="s"))
    assert not any("|u" in client or "forged" in client for client in clients("192.0.2.1", "d"))
