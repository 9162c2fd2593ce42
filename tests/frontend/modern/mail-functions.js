"use strict";
// The mail part of the messaging tab; it asks for everything at once. Flags are compared with 1, errors strictly with 0.

const MAIL_FLAGS = ["auto_send_new_account", "auto_send_renewal", "auto_send_expiry", "notify_admin", "notify_reseller"];
const mailForm = () => byId("mail-settings").elements;
let mailStats = {};

subTabs.mail = () => {
  byId("mail").hidden = false;
  loadMailSettings();
  loadMailAccounts();
  loadMailLogs(1);
};

async function loadMailSettings() {
  try {
    const answer = await ask("get_mail_settings.php");
    if (answer.error !== 0) return showStatus(answer.message);
    const { settings, templates, stats } = answer;
    const form = mailForm();
    for (const name of ["smtp_host", "smtp_username", "from_email", "from_name"]) form[name].value = settings[name] || "";
    form.smtp_port.value = settings.smtp_port;
    form.smtp_password.placeholder = settings.smtp_password_set ? "stored" : "";
    for (const name of MAIL_FLAGS) form[name].checked = settings[name] == 1;
    mailStats = stats;
    byId("mail-counts").textContent = `${stats.sent} sent, ${stats.failed} failed of ${stats.total}`;
    showMailTemplates(templates);
    showStatus(`Mail by ${settings.smtp_host}`);
  } catch {
    showStatus("Error loading settings");
  }
}

function showMailTemplates(templates) {
  byId("mail-templates").innerHTML = templates.map((t) => `<option value="${t.id}">${t.name}</option>`).join("");
  // the name stands inside a handler, as it does there
  byId("mail-template-list").innerHTML = templates
    .map(
      (t) =>
        `<li><button type="button" onclick="editMailTemplate(${t.id})">Edit</button>` +
        `<button type="button" onclick="deleteMailTemplate(${t.id}, '${t.name}')">Delete</button> ${t.name}</li>`,
    )
    .join("");
}

async function loadMailAccounts() {
  try {
    const answer = await ask("get_accounts.php");
    byId("mail-accounts").replaceChildren(
      ...answer.accounts.filter((a) => a.email && a.email.trim()).map((a) => new Option(a.username, a.id)),
    );
  } catch (error) {
    console.log("mail accounts:", error.message);
  }
}

/** As the page escapes it: quotation marks stay. */
const escapedText = (text) => (text || "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

async function loadMailLogs(page) {
  try {
    const answer = await ask(`get_mail_logs.php?date=${today()}&page=${page}&limit=25`);
    if (answer.error !== 0) return;
    byId("mail-rows").innerHTML = answer.logs
      .map((row) => {
        const escaped = [row.subject, row.recipient_email, row.error_message, row.sent_by].map(escapedText);
        const [subject, recipient, error, sender] = escaped;
        return (
          `<tr><td>${row.time}</td><td title="${subject}">${subject}</td><td>${recipient}</td>` +
          `<td title="${error}">${row.status}</td><td>${sender}</td></tr>`
        );
      })
      .join("");
    const { total, limit } = answer.pagination;
    byId("mail-pages").textContent = total === 0 ? "" : `Showing ${(page - 1) * limit + 1} of ${total}`;
  } catch (error) {
    console.log("mail log:", error.message);
  }
}

function mailServer() {
  const form = mailForm();
  return {
    smtp_host: form.smtp_host.value || "mail.vendor.invalid",
    smtp_port: form.smtp_port.value,
    smtp_secure: form.smtp_port.value === "465" ? "ssl" : "tls",
    smtp_username: form.smtp_username.value,
    smtp_password: form.smtp_password.value,
  };
}

async function mailAct(path, fields, done, then) {
  try {
    const answer = await postJson(path, fields);
    showStatus(answer.error === 0 ? done(answer) : answer.message);
    if (answer.error === 0) then?.();
  } catch (error) {
    showStatus(`${FAILED}: ${error.message}`);
  }
}

byId("mail-settings").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = mailForm();
  const flags = Object.fromEntries(MAIL_FLAGS.map((name) => [name, form[name].checked ? 1 : 0]));
  const fields = { ...mailServer(), from_email: form.from_email.value, from_name: form.from_name.value, ...flags };
  mailAct("update_mail_settings.php", fields, () => "Mail settings saved", loadMailSettings);
});

byId("test-mail").addEventListener("click", () =>
  mailAct("test_mail_connection.php", mailServer(), () => "Connection works"),
);

function sendMails(fields) {
  mailAct(
    "send_mail.php",
    fields,
    (answer) => `${answer.sent_count} sent, ${answer.failed_count} failed`,
    () => {
      loadMailLogs(1);
      loadMailSettings().then(() => showStatus("Mail sent"));
    },
  );
}

byId("mail-send").addEventListener("submit", (event) => {
  event.preventDefault();
  sendMails({ mode: "manual", ...Object.fromEntries(new FormData(event.target)) });
});

byId("mail-many").addEventListener("click", () => {
  const { subject, message } = byId("mail-send").elements;
  const ids = [...byId("mail-accounts").selectedOptions].map((option) => option.value);
  sendMails({ mode: "accounts", account_ids: ids, subject: subject.value, message: message.value });
});

async function editMailTemplate(id) {
  const { template } = await ask(`get_mail_template.php?id=${id}`);
  const form = byId("mail-template").elements;
  form.template_id.value = template.id;
  for (const name of ["name", "subject", "body_html", "description"]) form[name].value = template[name] || "";
  form.is_active.checked = template.is_active == 1;
}

function deleteMailTemplate(id, name) {
  mailAct("delete_mail_template.php", { template_id: id }, () => `${name} deleted`, loadMailSettings);
}

byId("mail-template").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = byId("mail-template").elements;
  const fields = {
    template_id: form.template_id.value || null,
    name: form.name.value,
    subject: form.subject.value,
    body_html: form.body_html.value,
    description: form.description.value,
    is_active: form.is_active.checked ? 1 : 0,
  };
  mailAct("save_mail_template.php", fields, () => "Template saved", loadMailSettings);
});
