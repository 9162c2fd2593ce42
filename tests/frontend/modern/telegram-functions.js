"use strict";
// The Telegram part of the messaging tab: settings first, then the log. Its status lines are HTML.

const SWITCHES = [
  ["notify_new_account", "New accounts"],
  ["notify_renewal", "Renewals by Telegram"],
  ["notify_expiry", "Expiring soon"],
  ["notify_expired", "Expired"],
  ["notify_low_balance", "Low balance"],
  ["notify_new_payment", "Payments"],
  ["notify_login", "Logins"],
  ["notify_daily_report", "Daily report"],
];
let telegramStats = null;

const html = (id, text) => {
  byId(id).innerHTML = text;
};

subTabs.telegram = async () => {
  byId("telegram").hidden = false;
  await loadTelegram();
  await loadTelegramLogs();
};

async function loadTelegram() {
  try {
    const answer = await ask("telegram/get_settings.php");
    if (answer.error !== 0) return html("messaging-status", answer.message);
    html("messaging-status", "Telegram ready");
    showTelegram(answer);
  } catch (error) {
    console.log("Telegram:", error.message);
  }
}

function showTelegram({ bot_configured, bot_username, bot_token, user, notification_settings, stats, recipients }) {
  byId("telegram-bot").hidden = !user.is_super_admin;
  byId("telegram-bot").elements.bot_token.value = bot_token || "";
  html("telegram-bot-status", bot_configured ? `Bot @${bot_username}` : "No bot yet");
  byId("unlink").hidden = !user.telegram_linked;
  byId("telegram-link").hidden = !bot_configured;
  byId("telegram-switches").innerHTML = `${SWITCHES.map(
    ([name, text]) =>
      `<label><input type="checkbox" name="${name}"${notification_settings[name] == 1 ? " checked" : ""}> ${text}</label>`,
  ).join("")}<button>Save switches</button>`;
  telegramStats = { ...stats };
  showTelegramStats();
  byId("telegram-send").hidden = !user.can_send_messages;
  byId("telegram-recipients").innerHTML = recipients
    .map(
      (r) =>
        `<li><label><input type="checkbox" value="${r.id}"${r.telegram_linked == 1 ? "" : " disabled"}> ` +
        `${r.username} (${r.super_user == 1 ? "Admin" : r.is_reseller_admin == 1 ? "Reseller Admin" : r.user_type})</label></li>`,
    )
    .join("");
}

function showTelegramStats() {
  const { total_sent, sent_success, sent_failed } = telegramStats;
  byId("telegram-counts").textContent = `${sent_success} sent, ${sent_failed} failed of ${total_sent}`;
}

async function loadTelegramLogs() {
  try {
    const answer = await ask("telegram/get_logs.php?date=&status=&message_type=&page=1&per_page=25");
    if (answer.error !== 0) return;
    byId("telegram-rows").innerHTML = answer.logs
      .map((row) => {
        const text = row.message.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
        const short = row.message.length > 30 ? `${text.slice(0, 30)}…` : text;
        return `<tr><td>${row.recipient_username}</td><td>${row.message_type}</td><td title="${text}">${short}</td><td>${
          row.status === "sent" ? "sent" : "failed"
        }</td></tr>`;
      })
      .join("");
  } catch (error) {
    console.log("Telegram log:", error.message);
  }
}

byId("telegram-bot").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await post("telegram/update_settings.php", { bot_token: event.target.elements.bot_token.value });
  html("telegram-bot-status", answer.message);
  if (answer.error === 0) loadTelegram();
});

byId("verify-bot").addEventListener("click", async () => {
  const answer = await post("telegram/verify_bot.php", { bot_token: byId("telegram-bot").elements.bot_token.value });
  html("telegram-bot-status", answer.error === 0 ? `@${answer.bot_username} (${answer.bot_name}) answers` : answer.message);
});

byId("telegram-link").addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = { action: "set_chat_id", chat_id: event.target.elements.chat_id.value };
  const answer = await post("telegram/link_telegram.php", fields);
  say(answer.message);
  if (answer.error === 0) loadTelegram();
});

byId("unlink").addEventListener("click", async () => {
  const answer = await post("telegram/link_telegram.php", { action: "unlink" });
  say(answer.message);
  if (answer.error === 0) loadTelegram();
});

byId("telegram-switches").addEventListener("submit", async (event) => {
  event.preventDefault();
  const ticked = SWITCHES.filter(([name]) => event.target.elements[name].checked).map(([name]) => [name, "1"]);
  const body = new FormData();
  for (const [name, value] of ticked) body.append(name, value);
  const response = await fetch("api/telegram/update_notification_settings.php", { method: "POST", body });
  if (!response.ok) return say(`Server error: ${response.status}`);
  const answer = JSON.parse(await response.text());
  say(answer.error === 0 ? "Switches saved" : answer.message);
});

byId("telegram-send").addEventListener("submit", async (event) => {
  event.preventDefault();
  const ids = [...byId("telegram-recipients").querySelectorAll("input:checked")].map((box) => box.value);
  try {
    const fields = { message: event.target.elements.message.value, recipient_ids: JSON.stringify(ids) };
    const answer = await post("telegram/send_message.php", fields);
    if (answer.error !== 0) return html("telegram-send-status", answer.message);
    telegramStats.sent_success += answer.results.sent;
    telegramStats.sent_failed += answer.results.failed;
    telegramStats.total_sent += answer.results.sent + answer.results.failed;
    showTelegramStats();
    html("telegram-send-status", answer.message);
    loadTelegramLogs();
  } catch {
    html("telegram-send-status", "Failed to send message");
  }
});
