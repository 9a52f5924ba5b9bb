"""The configuration is checked whole, and no fault shows a secret."""

import base64
import secrets
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from service.domain.money import Budget, Cap
from service.settings import SettingsError, load_settings
from tests.harness import UP_TOML

SECRET = base64.b64encode(secrets.token_bytes(32)).decode()
ENVIRON = {
    "COUNTERSIGN_KEYS": SECRET,
    "REDIS_URL": "redis://:hunter2@127.0.0.1/0",
    "TELNYX_API_KEY": "KEYhunter2",
    "TELNYX_PUBLIC_KEY": base64.b64encode(bytes(SigningKey.generate().verify_key)).decode(),
}
PUBLIC = 'public_url = "https://otp.example.com/"\n'


BRAND = 'kind = "alphanumeric"\nfrom = "Acme"\nmessaging_profile_id = "p"\n'


def _config(folder: Path, text: str) -> Path:
    path = folder / "countersign.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_built_in_configuration_is_whole(tmp_path: Path) -> None:
    settings = load_settings(_config(tmp_path, PUBLIC + UP_TOML.read_text()), ENVIRON)
    assert settings.messages().public_url == "https://otp.example.com"
    assert settings.routing().senders["long"].report_timeout == 20_000
    assert settings.limits_().recipient[0].count == 5
    assert "hunter2" not in repr(settings)


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    text = UP_TOML.read_text()
    text = text.replace("ttl = 300", "ttl = 3000").replace('"5/600"', '"5 per minute"')
    text = text.replace('plan = ["short", "long", "pool"]', 'plan = ["none"]')
    with pytest.raises(SettingsError) as caught:
        load_settings(
            _config(tmp_path, "publicurl = 1\n" + text), ENVIRON | {"COUNTERSIGN_KEYS": "x"}
        )
    said = str(caught.value)
    for name in ("public_url", "publicurl", "codes.ttl", "limits.recipient", "COUNTERSIGN_KEYS"):
        assert name in said
    assert "hunter2" not in said


def test_a_plan_of_unknown_senders_is_refused(tmp_path: Path) -> None:
    text = PUBLIC + UP_TOML.read_text().replace('"pool"]', '"poll"]')
    with pytest.raises(SettingsError, match="not configured: poll"):
        load_settings(_config(tmp_path, text), ENVIRON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "number_pool"', "needs messaging_profile_id"),
        ('kind = "long_code"', "needs from"),
        ('kind = "pigeon"', "kind"),
        ('kind = "long_code"\nfrom = "+18445550001"\nstop_text = "x"', "people reply STOP"),
        (
            f'{BRAND}stop_text = "{"x" * 150}"',
            "senders.one.stop_text: the shortest text with it is",
        ),
        (f'{BRAND}stop_text = "{"停" * 40}"', "is 77 UCS-2 characters long"),
        (f'{BRAND}stop_countries = ["FR"]', "needs stop_text"),
        ('kind = "whatsapp"\nfrom = "+18445550001"', "authentication template"),
        ('kind = "whatsapp"\nfrom = "+18445550001"\ntemplate = "code"', "template and language"),
        ('kind = "long_code"\nfrom = "+18445550001"\ntemplate = "code"', "are for kind whatsapp"),
    ],
)
def test_a_sender_that_cannot_send_is_refused(tmp_path: Path, text: str, said: str) -> None:
    config = f'{PUBLIC}[senders.one]\n{text}\n[[routes]]\ncountries = ["*"]\nplan = ["one"]\n'
    with pytest.raises(SettingsError, match=said):
        load_settings(_config(tmp_path, config), ENVIRON)


def test_every_fault_of_the_texts_is_named_at_once(tmp_path: Path) -> None:
    text = (
        f"{PUBLIC}{UP_TOML.read_text()}\n[texts]\nmax_segments = 1\n[texts.login]\n"
        'de = "{code}"\nfr = "{code} {app} {x}"\n[notices]\npaid = "{app} " \n'
    ).replace('"{app} "', f'"{{app}} {"x" * 160}"')
    with pytest.raises(SettingsError) as caught:
        load_settings(_config(tmp_path, text), ENVIRON)
    said = str(caught.value)
    assert "has 3 fault(s)" in said
    for fault in ("texts.login.de: lacks {app}", "texts.login.fr: has a", "notices.paid: the text"):
        assert fault in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[texts]\nmax_segments = 4", "texts.max_segments"),
        ("[texts]\nlogin = 5", "texts.login"),
        ("[texts.login]\nde = 5", "texts.login.de"),
        ('[texts."Log in"]\nde = "{code} {app}"', "texts.Log in: is no purpose"),
    ],
)
def test_texts_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    config = _config(tmp_path, f"{PUBLIC}{UP_TOML.read_text()}\n{text}\n")
    with pytest.raises(SettingsError, match=said):
        load_settings(config, ENVIRON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('alphabet = "letters"\nlength = 4', "17 bits; 20 are the least"),
        ('alphabet = "words"', "codes.alphabet"),
        ('grouping = "dots"', "codes.grouping"),
    ],
)
def test_codes_that_are_easy_to_guess_are_refused(tmp_path: Path, text: str, said: str) -> None:
    base = UP_TOML.read_text().replace("length = 6\n", "").replace("[codes]", f"[codes]\n{text}")
    with pytest.raises(SettingsError, match=said):
        load_settings(_config(tmp_path, PUBLIC + base), ENVIRON)


def test_a_name_of_any_script_is_an_apps_name(tmp_path: Path) -> None:
    base = UP_TOML.read_text().replace('app_name = "Countersign"', 'app_name = "Банк Пример"')
    assert load_settings(_config(tmp_path, PUBLIC + base), ENVIRON).app_name == "Банк Пример"
    with pytest.raises(SettingsError, match="app_name: has a control character"):
        load_settings(_config(tmp_path, PUBLIC + base.replace("Банк Пример", "a\\u202eb")), ENVIRON)


def test_opt_outs_by_profile_need_the_profile_of_every_sender(tmp_path: Path) -> None:
    text = f'{PUBLIC}{UP_TOML.read_text()}\n[opt_outs]\nscope = "messaging_profile"\n'
    with pytest.raises(SettingsError, match=r"need messaging_profile_id.*: long, short"):
        load_settings(_config(tmp_path, text), ENVIRON)


def test_secrets_do_not_stand_in_the_file(tmp_path: Path) -> None:
    config = _config(tmp_path, f'redis_url = "redis://:hunter2@h"\n{PUBLIC}{UP_TOML.read_text()}')
    with pytest.raises(SettingsError, match="come from the environment") as caught:
        load_settings(config, ENVIRON)
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    config = _config(tmp_path, PUBLIC + UP_TOML.read_text())
    file = tmp_path / "keys"
    file.write_text(f"{SECRET}\n")
    environ = {name: value for name, value in ENVIRON.items() if name != "COUNTERSIGN_KEYS"}
    assert load_settings(config, environ | {"COUNTERSIGN_KEYS_FILE": str(file)}).keyring().newest
    with pytest.raises(SettingsError, match="both set"):
        load_settings(config, ENVIRON | {"COUNTERSIGN_KEYS_FILE": str(file)})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(config, environ | {"COUNTERSIGN_KEYS_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize("content", [b"= 1", b"\xff", None])
def test_a_file_that_is_no_toml_is_said_to_be_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "countersign.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"countersign\.toml"):
        load_settings(path, ENVIRON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[guard]\nwrong_codes = "101/86400"', "800-63B-4"),
        ('[guard]\nwrong_codes = "5/86400"\nreserve = 5', "reserve must be smaller"),
        ('[guard.countries]\nFrance = "block"', "guard.countries"),
        ('[guard.countries]\nFR = "refuse"', "guard.countries.FR"),
        ('[guard.number_types]\nfax = "block"', "guard.number_types"),
        ('[http]\ntrusted_proxies = ["0.0.0.0/0"]', "whole internet"),
    ],
)
def test_a_guard_that_would_not_guard_is_refused(tmp_path: Path, text: str, said: str) -> None:
    config = _config(tmp_path, f"{PUBLIC}{UP_TOML.read_text()}\n{text}\n")
    with pytest.raises(SettingsError, match=said):
        load_settings(config, ENVIRON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[money]\nhour = 0", "money.hour"),
        ("[money]\nhour = inf", "money.hour"),
        ("[money]\nhour = 10\nday = 5", "hour is more than day"),
        ("[money.apps]\nshop = 5", "money.apps.shop"),
        ("[money.apps.shop]\nweek = 5", "money.apps.shop.week"),
        ("[money.countries.Nigeria]\nhour = 5", "money.countries"),
        ("[money.countries.NG]\nhour = 0.05", r"countries\.NG\.hour is less than default_price"),
        ('[money]\ncurrency = "dollars"', "money.currency"),
        ("[guard.breaker]\nhold = 0", "guard.breaker.hold"),
    ],
)
def test_a_cap_that_would_not_be_one_is_refused(tmp_path: Path, text: str, said: str) -> None:
    config = _config(tmp_path, f"{PUBLIC}{UP_TOML.read_text()}\n{text}\n")
    with pytest.raises(SettingsError, match=said):
        load_settings(config, ENVIRON)


def test_caps_are_of_everything_of_apps_and_of_countries(tmp_path: Path) -> None:
    text = """
        [money]
        hour = 50.0
        day = 500
        [money.apps.shop]
        hour = 20.5
        [money.countries]
        NG = { day = 10 }
        "*" = { hour = 5 }
    """
    config = _config(tmp_path, PUBLIC + UP_TOML.read_text() + text)
    policy = load_settings(config, ENVIRON).money.policy()
    total = Cap("spend", "", (Budget(50_000_000, 3600), Budget(500_000_000, 86_400)))
    nigeria = Cap("spend_country", "NG", (Budget(10_000_000, 86_400),))
    elsewhere = Cap("spend_country", "SE", (Budget(5_000_000, 3600),))
    shop = Cap("spend_app", "shop", (Budget(20_500_000, 3600),))
    assert policy.caps("shop", "NG") == (total, shop, nigeria)
    assert policy.caps("bank", "SE") == (total, elsewhere)
    assert (
        not load_settings(_config(tmp_path, PUBLIC + UP_TOML.read_text()), ENVIRON)
        .money.policy()
        .is_on
    )


def test_the_callers_own_limits_have_a_default(tmp_path: Path) -> None:
    text = '[limits.keys]\ndevice = ["5/600"]\nuser = []\n'
    limits = load_settings(
        _config(tmp_path, PUBLIC + UP_TOML.read_text() + text), ENVIRON
    ).limits_()
    assert limits.keys["device"][0].count == 5
    assert limits.keys["user"] == ()
    assert limits.keys["*"][0].count == 20


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('url = "http://shop.example/"', "must begin with https://"),
        ('url = "https://10.0.0.1/"', "private or reserved"),
        ('url = "https://shop.example:22/"\nports = [443]', "allowed port"),
        ('url = "https://user:hunter2@shop.example/"', "no user name"),
    ],
)
def test_a_callback_url_that_may_not_be_posted_to_is_refused(
    tmp_path: Path, section: str, said: str
) -> None:
    text = f"{PUBLIC}{UP_TOML.read_text()}\n[callbacks]\n{section}\n"
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings(_config(tmp_path, text), ENVIRON)
    assert "hunter2" not in str(caught.value)
