"""All that is shipped, as an app has it, for tests of texts."""

from service.domain.code import Code
from service.domain.texts import Texts
from service.settings.catalogue import cldr_languages, shipped_templates

CODE = Code("123456")
SHIPPED = Texts(app_name="Acme", catalogue=shipped_templates(), languages=cldr_languages())
LOCALES = SHIPPED.locales()
HASH = "FA+9qCX9VSu"
HOST = "login.example.com"
