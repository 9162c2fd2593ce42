"""The mail and Telegram pages of the newest frontend in Chromium, before a real mail server and a simulated Bot API."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from core.storage.tables import (
    Account,
    MailLog,
    MailSettings,
    MailTemplate,
    TelegramLog,
    TelegramNotificationSettings,
    User,
)
from core.storage.tables.secret_columns import BOT, MAIL
from simulators.telegram import TOKEN, BotApi
from tests.browser.conftest import Visit
from tests.browser.panels import Site
from tests.browser.visitors import Visitor
from tests.worlds.channels import outside
from tests.worlds.mail_server import PASSWORD, USER, MailServer

TITLE = "Dashboard"
MARKUP = '"><img src=x onerror=document.title="broken">'


@pytest.fixture
def api(modern: Site) -> Iterator[BotApi]:
    with BotApi() as api, outside(modern.world, api):
        yield api


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def opened(visit: Visit, site: Site, username: str, part: str) -> Visitor:
    visitor = visit(site.url).holds_session_of(username)
    visitor.open(site.dashboard)
    expect(visitor.page.locator("#overlay")).to_be_hidden()
    visitor.page.click("[data-tab=messaging]")
    visitor.page.click(f"[data-subtab={part}]")
    return visitor


def status(page: Page, text: str) -> None:
    expect(page.locator("#messaging-status")).to_have_text(text)


def test_mail_is_set_up_tried_and_sent(modern: Site, visit: Visit, server: MailServer) -> None:
    modern.world.execute(sa.update(Account).where(Account.id < 3).values(email="c@example.com"))
    visitor = opened(visit, modern, "admin", "mail")
    page = visitor.page
    status(page, "Mail by localhost")
    page.get_by_label("Mail server", exact=True).fill("127.0.0.1")
    page.get_by_label("Mail user").fill(USER)
    page.get_by_label("Mail password").fill(PASSWORD)
    page.get_by_text("Save mail settings").click()
    status(page, "Mail by 127.0.0.1")
    # the page offers three ports only; what is stored beyond them stays (settled 5)
    address = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_secure": "none"}
    password = modern.world.panel.sealer.sealed(PASSWORD, MAIL.place(address))
    modern.world.execute(sa.update(MailSettings).values(**address, smtp_password=password))
    page.click("[data-subtab=mail]")
    expect(page.get_by_label("Port")).to_have_value("")
    page.get_by_label("Mail password").fill("")
    page.get_by_text("Test mail server").click()
    status(page, "Connection works")
    expect(page.get_by_label("Mail templates").locator("option")).to_have_count(4)

    page.get_by_label("To", exact=True).fill("c@example.com")
    page.get_by_label("Subject", exact=True).fill(f"Hi {MARKUP}")
    page.get_by_label("Mail text").fill("line1\nline2")
    page.get_by_text("Send mail", exact=True).click()
    status(page, "Mail sent")
    expect(page.locator("#mail-rows tr")).to_have_count(1)
    expect(page.locator("#mail-counts")).to_have_text("1 sent, 0 failed of 1")
    assert server.received[0].html.strip() == '<div dir="rtl">line1<br>line2</div>'
    page.get_by_label("Mail accounts").select_option(["anna", "bert"])
    page.get_by_text("Send to accounts").click()
    expect(page.locator("#mail-rows tr")).to_have_count(3)
    expect(page.locator("#mail-pages")).to_have_text("Showing 1 of 3")
    assert len(server.received) == 3
    assert page.title() == TITLE
    assert {row["status"] for row in modern.world.rows(sa.select(MailLog.status))} == {"sent"}


def test_mail_templates_are_made_changed_and_deleted(modern: Site, visit: Visit) -> None:
    old = {"user_id": 1, "name": "x'); document.title='broken'; ('<b>", "subject": "S", "body_html": "x"}
    modern.world.insert(MailTemplate, [old])
    page = opened(visit, modern, "admin", "mail").page
    rows = page.locator("#mail-template-list li")
    expect(rows).to_have_count(1)
    rows.first.get_by_text("Delete").click()
    expect(rows).to_have_count(0)
    page.get_by_label("Template name").fill("Promo")
    page.get_by_label("Template subject").fill("S")
    page.get_by_label("Template text").fill("<p>x</p>")
    page.get_by_text("Save template").click()
    expect(rows).to_have_count(1)
    # the form still holds what was saved: emptied, it tells when the template has come
    page.get_by_label("Template text").fill("")
    rows.first.get_by_text("Edit").click()
    expect(page.get_by_label("Template text")).to_have_value("<p>x</p>")
    page.get_by_label("Template subject").fill("T")
    # the page asks for its settings after the change, and the status is the same before and after
    with page.expect_response("**/get_mail_settings.php"):
        page.get_by_text("Save template").click()
    status(page, "Mail by localhost")
    stored = sa.select(MailTemplate.name, MailTemplate.subject)
    assert modern.world.rows(stored) == [{"name": "Promo", "subject": "T"}]
    page.get_by_label("Template name").fill("a'b")
    page.get_by_text("Save template").click()
    expect(page.locator("#messaging-status")).to_contain_text("quotation marks")
    assert page.title() == TITLE


def test_telegram_from_the_bot_to_a_message(modern: Site, visit: Visit, api: BotApi) -> None:
    visitor = opened(visit, modern, "admin", "telegram")
    page = visitor.page
    expect(page.locator("#telegram-bot-status")).to_have_text("No bot yet")
    page.get_by_label("Bot token").fill("nonsense")
    page.get_by_text("Test bot").click()
    expect(page.locator("#telegram-bot-status")).to_contain_text("not valid")
    page.get_by_label("Bot token").fill(TOKEN)
    page.get_by_text("Save bot").click()
    expect(page.locator("#telegram-bot-status")).to_have_text("Bot @ExampleBot")
    # the mask comes back
    page.get_by_text("Test bot").click()
    expect(page.locator("#telegram-bot-status")).to_have_text("@ExampleBot (Example Bot) answers")
    assert TOKEN not in page.content()

    page.get_by_label("Chat id").fill("100200300")
    page.get_by_text("Link chat", exact=True).click()
    expect(page.locator("#alert")).to_contain_text("linked")
    expect(page.get_by_text("Unlink chat")).to_be_visible()
    recipient = page.get_by_label("admin (Admin)")
    expect(recipient).to_be_enabled()
    expect(page.get_by_label("rita (Reseller)")).to_be_disabled()
    recipient.check()
    page.get_by_label("Telegram text").fill(f"Hello {MARKUP}")
    page.get_by_text("Send by Telegram").click()
    expect(page.locator("#telegram-send-status")).to_have_text("Message sent to 1 of 1")
    expect(page.locator("#telegram-counts")).to_have_text("1 sent, 0 failed of 1")
    expect(page.locator("#telegram-rows tr")).to_have_count(1)
    assert api.messages[-1].text == f"Hello {MARKUP}"
    assert page.title() == TITLE
    assert modern.world.rows(sa.select(TelegramLog.status)) == [{"status": "sent"}]


def test_a_reseller_links_a_chat_and_sets_switches(modern: Site, visit: Visit, api: BotApi) -> None:
    modern.world.execute(
        "INSERT INTO _telegram_settings (bot_token, bot_username) VALUES "
        f"('{modern.world.panel.sealer.sealed(TOKEN, BOT.place({}))}', 'ExampleBot')"
    )
    visitor = opened(visit, modern, "rita", "telegram")
    page = visitor.page
    expect(page.locator("#telegram-bot-status")).to_have_text("Bot @ExampleBot")
    expect(page.locator("#telegram-bot, #telegram-send").locator("visible=true")).to_have_count(0)
    page.get_by_label("Chat id").fill("1e5")
    page.get_by_text("Link chat", exact=True).click()
    expect(page.locator("#alert")).to_contain_text("not valid")
    page.get_by_label("Chat id").fill("100200301")
    page.get_by_text("Link chat", exact=True).click()
    expect(page.locator("#alert")).to_contain_text("confirmation")
    expect(page.get_by_text("Unlink chat")).to_be_visible()
    page.get_by_label("Logins").check()
    page.get_by_text("Save switches").click()
    expect(page.locator("#alert")).to_have_text("Switches saved")
    found = sa.select(TelegramNotificationSettings.notify_login, TelegramNotificationSettings.notify_renewal)
    assert modern.world.rows(found) == [{"notify_login": 1, "notify_renewal": 1}]
    for box in page.locator("#telegram-switches input").all():
        box.uncheck()
    page.get_by_text("Save switches").click()

    def all_off() -> bool:
        [row] = modern.world.rows(sa.select(*TelegramNotificationSettings.__table__.c))
        return not any(value for name, value in row.items() if name.startswith("notify_"))

    visitor.until(all_off, "the switches are off")
    page.get_by_text("Unlink chat").click()
    expect(page.get_by_text("Unlink chat")).to_be_hidden()
    assert modern.world.rows(sa.select(User.telegram_chat_id).where(User.username == "rita")) == [
        {"telegram_chat_id": None}
    ]
