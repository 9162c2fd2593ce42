"use strict";
// Every sink of contract chapter 05 §6 of the endpoints that exist: H text, T attribute, J string of an inline handler.
// ``D`` marks what is read back from its attribute and inserted as text (the bulk dialog).

const SINKS = [
  ["get_accounts.php", "accounts", "username full_name phone_number mac tariff_plan reseller_name plan_name email end_date",
    "username full_name phone_number email id", "username reseller", "username full_name"],
  ["get_resellers.php", "resellers", "name full_name username email currency_name account_count max_users theme",
    "username name", "name currency_name plans currency_id", ""],
  ["get_plans.php", "plans", "external_id currency_id name days category", "external_id currency_id",
    "external_id currency_id", ""],
  ["get_tariffs.php", "tariffs", "id name days", "", "", ""],
  ["get_themes.php", "themes", "id name", "", "", ""],
  ["get_transactions.php", "transactions",
    "details formatted_description mac_address reseller_name reseller_username currency correction_note creator",
    "corrected_by_username corrected_at", "", ""],
  ["get_reminder_history.php", "reminders", "username full_name mac end_date days_before", "message", "", ""],
  ["get_sms_logs.php", "logs", "recipient_name recipient_number message sent_by_name sent_by_username message_type",
    "message", "", ""],
  ["get_sms_settings.php", "templates", "name template description", "", "", ""],
  ["get_stb_logs.php?per_page=100", "logs", "action_detail mac_address username error_message created_at_relative",
    "created_at_formatted", "", ""],
  ["get_login_history.php?user_id=all&per_page=100", "data",
    "username user_name ip_address failure_reason login_method", "user_agent", "", ""],
  ["get_reseller_payments.php?status=all", "payments", "currency payment_date payment_date_shamsi",
    "description cancellation_reason", "reseller_name currency", ""],
  ["get_audit_log.php?per_page=100", "data",
    "user_display_name username user_type action target_type target_name target_id ip_address details", "details", "", ""],
  ["get_mail_logs.php?page=1&limit=25", "logs", "message_type status time",
    "subject error_message", "", ""],
  ["get_mail_settings.php", "templates", "name", "", "name", ""],
  ["telegram/get_logs.php?page=1&per_page=25", "logs", "recipient_username message_type", "message", "", ""],
  ["telegram/get_settings.php", "recipients", "username user_type", "id", "", ""],
  ["webauthn_manage.php", "credentials", "device_name", "", "", ""],
  ["get_reseller_balance.php", "balances", "currency reseller_name", "", "", ""],
];

/** Show every row of every list; the answer says how many rows each list had. */
async function showEverySink(prefix) {
  const board = document.body.appendChild(document.createElement("table"));
  board.id = "every-sink";
  const counts = {};
  for (const [path, key, texts, attributes, handlers, again] of SINKS) {
    const answer = await (await fetch(prefix + path)).json();
    const rows = answer[key] || [];
    counts[path.split(".")[0]] = (counts[path.split(".")[0]] || 0) + rows.length;
    board.innerHTML += rows.map((row) => sinkRow(row, texts, attributes, handlers, again)).join("");
  }
  for (const item of board.querySelectorAll("[data-again]")) item.nextElementSibling.innerHTML = item.dataset.again;
  const user = (await (await fetch(`${prefix}get_user_info.php`)).json()).user;
  board.innerHTML += `<tr><td>${user.name}</td></tr>`;
  for (const button of board.querySelectorAll("button")) button.click();
  return counts;
}

const named = (names) => names.split(" ").filter(Boolean);

function sinkRow(row, texts, attributes, handlers, again) {
  return `<tr>${named(texts).map((name) => `<td>${row[name] ?? ""}</td>`).join("")}
    ${named(attributes).map((name) => `<td title="${row[name] ?? ""}"></td>`).join("")}
    ${named(handlers).map((name) => `<td><button onclick="void ('${row[name] ?? ""}')">.</button></td>`).join("")}
    ${named(again).map((name) => `<td><i data-again="${row[name] ?? ""}"></i><b></b></td>`).join("")}</tr>`;
}
