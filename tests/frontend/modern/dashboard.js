"use strict";
// The dashboard of the newer generations as a server meets it: contract chapter 05, columns and rows marked B and C.
// Loose comparisons, reads without a guard and unescaped HTML are what is recorded there, and stay.

const byId = (id) => document.getElementById(id);
const FAILED = "Something went wrong";
const ROWS_PER_PAGE = 25;
const PING_INTERVAL = 30000;

// filled by the scripts that follow this one
const subTabs = { stb: () => loadReminderSettings() };

let permissions = [];
let isSuper = false;
let isObserver = false;
let isResellerAdmin = false;
let accounts = [];
let plans = [];
let page = 0;

const ask = async (path, options) => (await fetch(`api/${path}`, options)).json();

const post = (path, fields) => {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return ask(path, { method: "POST", body });
};

const postJson = (path, value) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });

const viewFlag = () => localStorage.getItem("viewAllAccounts") || "false";
const today = () => new Date().toISOString().slice(0, 10);

function say(text, isWarning = false) {
  byId("alert").textContent = text;
  byId("alert").classList.toggle("warning", isWarning);
}

function showStatus(text) {
  byId("messaging-status").textContent = text;
}

/** One action: its failure is told, its success told as ``done`` (a text, or made of the answer), then ``then``. */
async function act(call, done, then) {
  try {
    const answer = await call();
    if (answer.error == 0) {
      say(typeof done === "function" ? done(answer) : done);
      then?.();
    } else {
      say(answer.err_msg || FAILED);
    }
  } catch (error) {
    say(`${FAILED}: ${error.message}`);
  }
}

// the session

async function checkSession() {
  try {
    const answer = await ask("session_heartbeat.php", { credentials: "same-origin" });
    if (answer.expired === true || answer.error === 1) location.href = "index.html?expired=1";
  } catch (error) {
    console.log("heartbeat:", error.message);
  }
}

let pingedAt = Date.now();

function pingActivity() {
  if (Date.now() - pingedAt < PING_INTERVAL) return;
  pingedAt = Date.now();
  fetch("api/session_heartbeat.php", {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json" },
  }).catch((error) => console.log("ping:", error.message));
}

window.addEventListener("pageshow", checkSession);
window.addEventListener("focus", checkSession);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") checkSession();
});

/** Every call adds its listeners anew, so saving the setting multiplies the pings. */
async function startAutoLogout() {
  await loadTimeout();
  if (Number(byId("timeout").value) <= 0 && byId("timeout").value !== "") return;
  for (const event of ["mousedown", "keydown", "touchstart", "click"]) document.addEventListener(event, pingActivity);
  await checkSession();
}

async function loadTimeout() {
  try {
    const answer = await ask("auto_logout_settings.php");
    if (answer.error === 0) byId("timeout").value = answer.auto_logout_timeout;
  } catch (error) {
    console.log("auto-logout:", error.message);
  }
}

byId("timeout-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const answer = await postJson("auto_logout_settings.php", { timeout: Number(byId("timeout").value) });
    byId("timeout-status").innerHTML = answer.message;
    if (answer.error === 0) startAutoLogout();
  } catch (error) {
    say(`${FAILED}: ${error.message}`);
  }
});

// the user

function showUser(answer) {
  const user = answer.user;
  isSuper = user.super_user == 1;
  isObserver = user.is_observer == 1;
  isResellerAdmin = !isSuper && (user.is_reseller_admin === true || user.is_reseller_admin === "1");
  permissions = user.permissions ? user.permissions.split("|") : [];
  if (isObserver) byId("user-name").innerHTML = `<i>Observer</i> ${user.name}`;
  else byId("user-name").textContent = user.name;
  byId("initial").textContent = user.name.charAt(0).toUpperCase();
  if (!isSuper && !isObserver) byId("balance").textContent = `${Number(user.balance).toFixed(2)} ${user.currency_name}`;
  byId("total-accounts").textContent = answer.total_accounts;
  byId("view-mode").hidden = !isResellerAdmin;
  byId("view-all").checked = viewFlag() === "true";
  byId("timeout-form").hidden = !isSuper;
  byId("history-user").hidden = !isSuper;
  byId("audit-form").hidden = !isSuper;
  byId("backup").hidden = !isSuper && !isResellerAdmin;
  byId("open-bulk").hidden = !isSuper && !isResellerAdmin;
  hideTabs();
}

function hideTabs() {
  const limited = !isSuper && !isObserver && !isResellerAdmin;
  for (const tab of document.querySelectorAll("nav button")) {
    const caption = tab.textContent.toLowerCase();
    const notForResellers = /reseller|plan/.test(caption) || (caption === "messaging" && permissions[6] !== "1");
    tab.hidden = (limited && notForResellers) || (isObserver && caption === "settings");
  }
  document.querySelector("[data-subtab=mail]").hidden = !isSuper;
}

async function countAccounts() {
  const answer = await ask(`get_user_info.php?viewAllAccounts=${viewFlag()}`);
  if (answer.error == 0) byId("total-accounts").textContent = answer.total_accounts;
}

async function loadDashboard() {
  try {
    const answer = await ask("get_user_info.php");
    if (answer.error == 1) {
      location.href = "index.html";
      return;
    }
    showUser(answer);
  } catch {
    location.href = "index.html";
    return;
  }
  if (isSuper) {
    loadPortalSettings();
    loadTimeout();
  }
  if (isResellerAdmin) countAccounts();
  if (isSuper || isResellerAdmin || permissions[4] === "1" || permissions[6] === "1") loadReminderHistory();
  if (!isObserver) await synchronise();
  loadLists();
  byId("overlay").hidden = true;
}

async function synchronise() {
  try {
    const answer = await ask("sync_accounts.php", { method: "POST" });
    if (answer.error != 0) console.log("sync:", answer.err_msg);
  } catch (error) {
    console.log("sync:", error.message);
  }
}

async function loadPortalSettings() {
  try {
    const { settings } = await ask("get_stalker_settings.php");
    byId("portal-status").textContent = settings.server_address ? settings.server_address.replace(/\/$/, "") : "";
  } catch {
    byId("portal-status").textContent = "Failed to load";
  }
}

// lists

function loadLists() {
  loadAccounts();
  loadTransactions();
  loadPlans();
  if (!isSuper && !isResellerAdmin && !isObserver) return;
  loadRows("resellers", "get_resellers.php", "reseller-rows", (row) => [row.username, row.name, row.balance]);
  loadQuietly("get_tariffs.php");
  loadQuietly("get_themes.php");
}

async function loadAccounts() {
  try {
    const answer = await ask(`get_accounts.php?viewAllAccounts=${viewFlag()}`);
    accounts = answer.error == 0 && answer.accounts ? answer.accounts.slice() : [];
    showAccounts();
  } catch (error) {
    say(`Error loading accounts: ${error.message}`);
  }
}

function loadTransactions() {
  return loadRows("transactions", `get_transactions.php?viewAllAccounts=${viewFlag()}`, "transaction-rows", (row) => [
    new Date(row.timestamp * 1000).toLocaleDateString(), row.formatted_description || row.details, row.amount,
  ]);
}

async function loadPlans() {
  const answer = await loadRows("plans", `get_plans.php?viewAllAccounts=${viewFlag()}`, "plan-rows", (row) => [
    row.external_id, row.name, Number(row.price).toFixed(0), row.currency_id,
  ]);
  plans = answer?.plans || [];
}

async function loadRows(key, path, table, cells) {
  try {
    const answer = await ask(path);
    const rows = answer.error == 0 && answer[key] && answer[key].length > 0 ? answer[key] : [];
    const lines = [];
    for (const row of rows) lines.push(`<tr><td>${cells(row).join("</td><td>")}</td></tr>`);
    byId(table).innerHTML = lines.join("") || `<tr><td>No ${key} found</td></tr>`;
    return answer;
  } catch (error) {
    say(`Error loading ${key}: ${error.message}`);
  }
}

async function loadQuietly(path) {
  try {
    const answer = await ask(path);
    if (answer.error !== 0) console.log(path, answer.err_msg);
  } catch (error) {
    console.log(path, error.message);
  }
}

async function loadReminderSettings() {
  try {
    const { settings } = await ask("get_reminder_settings.php");
    byId("reminder-days").value = settings.days_before_expiry;
    byId("reminder-text").value = settings.message_template;
  } catch (error) {
    console.log("reminder settings:", error.message);
  }
}

async function loadReminderHistory() {
  try {
    const answer = await ask(`get_reminder_history.php?date=${today()}`);
    if (answer.error != 0) {
      console.log("reminder history:", answer.err_msg);
      return;
    }
    byId("reminder-rows").innerHTML = answer.reminders
      .map((row) => `<tr><td>${row.username}</td><td title="${row.message}">${row.message.substring(0, 40)}</td></tr>`)
      .join("");
  } catch (error) {
    console.log("reminder history:", error.message);
  }
}

// the account table

const found = () => {
  const text = byId("search").value.toLowerCase();
  const holds = (value) => value && value.toLowerCase().includes(text);
  return accounts.filter((a) => !text || [a.username, a.full_name, a.mac, a.tariff_plan].some(holds));
};

function showAccounts() {
  const rows = found();
  page = Math.max(0, Math.min(page, Math.ceil(rows.length / ROWS_PER_PAGE) - 1));
  byId("page").textContent = `${page + 1} of ${Math.max(1, Math.ceil(rows.length / ROWS_PER_PAGE))}`;
  const shown = rows.slice(page * ROWS_PER_PAGE, (page + 1) * ROWS_PER_PAGE);
  byId("account-rows").innerHTML = shown.map(accountRow).join("") || "<tr><td>No accounts found</td></tr>";
}

function accountRow(a) {
  const until = a.end_date ? new Date(a.end_date).toLocaleDateString() : "Unlimited";
  const phone = a.phone_number ? a.phone_number.trim() : "";
  const box = `<input type="checkbox" class="select" data-username="${a.username}" data-name="${a.full_name}">`;
  // a click on the label also clicks the box: the handler runs twice
  const toggle = `<label onclick="toggleStatus('${a.username}', ${a.status == 1 ? 0 : 1})">
    <input type="checkbox" ${a.status == 1 ? "checked" : ""}> <span>on</span></label>`;
  const actions = `<button onclick="editAccount('${a.username}')">Edit</button>
    <button onclick="removeAccount('${a.username}')">Delete</button>`;
  const cells = [isObserver ? "" : box, a.username, a.full_name, a.mac, phone, a.tariff_plan, a.reseller_name, until];
  cells.push(isObserver ? "" : toggle, isObserver ? "" : actions);
  return `<tr><td>${cells.map((cell) => cell ?? "").join("</td><td>")}</td></tr>`;
}

async function toggleStatus(username, status) {
  const path = `toggle_account_status.php?username=${encodeURIComponent(username)}&status=${status}`;
  await act(() => ask(path), (answer) => answer.message || "Status changed");
  loadAccounts();
}

function removeAccount(username) {
  act(() => post("remove_account.php", { id: username }), "Account deleted", () => {
    loadAccounts();
    loadDashboard();
  });
}

async function editAccount(username) {
  await loadPlans();
  const account = accounts.find((a) => a.username === username);
  if (!account) {
    say("Account not found");
    return;
  }
  const form = byId("edit-form").elements;
  form.plan.innerHTML = `<option value="0">Keep</option>${plans.map((p) => `<option value="${p.id}">${p.name}</option>`)}`;
  form.original_username.value = form.username.value = account.username;
  form.name.value = account.full_name || "";
  form.email.value = account.email || "";
  form.phone.value = account.phone_number || "";
  form.status.value = account.status;
  byId("edit-dialog").showModal();
}

byId("edit-form").addEventListener("submit", () => {
  const fields = Object.fromEntries(new FormData(byId("edit-form")));
  act(() => post("edit_account.php", fields), (answer) => answer.message || "Account changed", () => {
    loadAccounts();
    if (!isSuper) loadDashboard();
  });
});

// assigning several accounts at once; what stands in the attributes is read back and inserted again

byId("open-bulk").addEventListener("click", async () => {
  const selected = [...document.querySelectorAll(".select:checked")];
  byId("bulk-accounts").innerHTML = selected
    .map((box) => `<li data-username="${box.dataset.username}">${box.dataset.name} (${box.dataset.username})</li>`)
    .join("");
  byId("bulk-dialog").showModal();
  const answer = await ask("get_resellers.php");
  if (answer.error != 0) {
    say(answer.message);
    return;
  }
  const options = [];
  for (const reseller of answer.resellers) options.push(`<option value="${reseller.id}">${reseller.name}</option>`);
  byId("bulk-reseller").innerHTML = `<option value="">Nobody</option>${options.join("")}`;
});

byId("bulk-form").addEventListener("submit", () => {
  const usernames = [...document.querySelectorAll("#bulk-accounts li")].map((item) => item.dataset.username);
  const request = { usernames, reseller_id: byId("bulk-reseller").value || null };
  act(() => postJson("bulk_assign_reseller.php", request), (answer) => `${answer.updated_count} changed`, loadAccounts);
});

// backup: only here a status other than 2xx takes the text away

/** Run ``call`` while ``button`` is off, and show what it returns. */
async function shown(button, call) {
  button.disabled = true;
  try {
    byId("backup-status").textContent = await call();
  } catch (error) {
    byId("backup-status").textContent = error.message;
  }
  button.disabled = false;
}

async function exportDatabase() {
  const response = await fetch("scripts/export_database.php", { method: "POST" });
  if (!response.ok) throw new Error("Network response was not ok");
  const answer = await response.json();
  if (answer.error != 0) return answer.message;
  const link = document.createElement("a");
  link.href = answer.file_url;
  link.download = answer.filename;
  document.body.append(link);
  link.click();
  link.remove();
  return `Saved as ${answer.filename}`;
}

async function importDatabase() {
  const body = new FormData(byId("import-form"));
  const answer = await (await fetch("scripts/import_database.php", { method: "POST", body })).json();
  if (answer.error != 0) return answer.message;
  setTimeout(() => location.reload(), 3000);
  return `Restored. ${answer.message}`;
}

byId("export").addEventListener("click", (event) => shown(event.target, exportDatabase));
byId("import-form").addEventListener("submit", (event) => {
  event.preventDefault();
  shown(event.submitter, importDatabase);
});

// logs

async function loadHistory(pageNumber = 1) {
  const wanted = byId("history-user").value;
  try {
    const user = wanted ? `user_id=${wanted}&` : "";
    const answer = await ask(`get_login_history.php?${user}page=${pageNumber}&per_page=10`);
    if (answer.error) {
      byId("history-rows").innerHTML = "<tr><td>No logins</td></tr>";
      say(answer.message || FAILED);
      return;
    }
    showHistory(answer);
  } catch (error) {
    byId("history-rows").innerHTML = `<tr><td>${FAILED}</td></tr>`;
    console.log("login history:", error.message);
  }
}

function showHistory(answer) {
  const target = answer.target_user;
  byId("history-of").innerHTML = target ? `${target.name} (${target.username})` : answer.view_all_users ? "Everybody" : "";
  byId("history-rows").innerHTML = answer.data
    .map((row) => {
      const result = row.status === "success" ? "success" : `failed: ${row.failure_reason}`;
      return `<tr title="${row.user_agent}"><td>${row.username}</td><td>${row.user_name ?? ""}</td>
        <td>${row.login_time}</td><td>${row.ip_address}</td><td>${row.login_method}</td><td>${result}</td></tr>`;
    })
    .join("");
  if (answer.data.length) byId("history-pages").textContent = `1 of ${answer.pagination.total_pages}`;
}

byId("history-user").addEventListener("change", () => loadHistory());

// the audit log; its texts are inserted as they come

let auditPage = 1;

async function loadAudit(pageNumber = 1) {
  auditPage = pageNumber;
  const query = new URLSearchParams({ page: auditPage, per_page: 10 });
  for (const [name, value] of new FormData(byId("audit-form"))) if (value && value !== "all") query.set(name, value);
  try {
    const answer = await ask(`get_audit_log.php?${query}`);
    if (answer.error) {
      byId("audit-rows").innerHTML = "<tr><td>No entries</td></tr>";
      say(answer.message || FAILED);
      return;
    }
    byId("audit-rows").innerHTML = answer.data.map(auditRow).join("");
    if (answer.filter_options) fillFilters(answer.filter_options);
    if (answer.data.length) showAuditPages(answer.pagination);
  } catch (error) {
    console.log("audit log:", error.message);
  }
}

function auditRow(row) {
  const when = new Date(row.timestamp).toLocaleString();
  const target = `${row.target_type} ${row.target_name || ""} ${row.target_id || ""}`;
  return `<tr><td>${when}</td><td>${row.user_display_name || row.username}</td><td>${row.user_type}</td>
    <td>${row.action}</td><td>${target}</td><td title="${row.details || ""}">${row.details || ""}</td>
    <td>${row.ip_address || ""}</td></tr>`;
}

/** Only while they are empty; as plain text. */
function fillFilters({ users, actions, target_types: types }) {
  const form = byId("audit-form").elements;
  const fill = (select, options) => {
    if (select.options.length > 1) return;
    for (const [value, text] of options) select.add(new Option(text, value));
  };
  fill(form.user_id, users.map((user) => [user.user_id, user.name || user.username]));
  fill(form.action, actions.map((action) => [action, action.charAt(0).toUpperCase() + action.slice(1)]));
  fill(form.target_type, types.map((type) => [type, type]));
}

function showAuditPages({ current_page: current, total_pages: pages, total_records: records }) {
  byId("audit-pages").textContent = `${current} of ${pages} (${records})`;
  byId("audit-previous").hidden = byId("audit-next").hidden = false;
  byId("audit-previous").disabled = current <= 1;
  byId("audit-next").disabled = current >= pages;
}

byId("audit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  loadAudit();
});
byId("audit-previous").addEventListener("click", () => loadAudit(auditPage - 1));
byId("audit-next").addEventListener("click", () => loadAudit(auditPage + 1));

// passkeys

const bytesOf = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
const textOf = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function deviceName() {
  const found = ["iPhone", "iPad", "Mac", "Android", "Windows"].find((name) => navigator.userAgent.includes(name));
  return found || "Unknown Device";
}

async function loadPasskeys() {
  try {
    const answer = await ask("webauthn_manage.php");
    if (answer.error !== 0) return;
    const rows = [];
    if (answer.count > 0) {
      for (const item of answer.credentials) {
        const used = item.last_used ? new Date(item.last_used).toLocaleString() : "never";
        rows.push(`<tr><td>${item.device_name}</td><td>${new Date(item.created_at).toLocaleString()}</td>
          <td>${used}</td><td><button onclick="removePasskey(${item.id})">Remove</button></td></tr>`);
      }
    }
    byId("passkey-rows").innerHTML = rows.join("") || "<tr><td>No passkeys yet</td></tr>";
  } catch (error) {
    console.log("passkeys:", error.message);
  }
}

async function addPasskey() {
  byId("add-passkey").disabled = true;
  try {
    const options = await ask("webauthn_register.php");
    if (options.error !== 0) {
      say(options.message || FAILED);
      return;
    }
    const { rawId, response } = await navigator.credentials.create({
      publicKey: {
        challenge: bytesOf(options.challenge),
        rp: options.rp,
        user: { ...options.user, id: bytesOf(options.user.id) },
        pubKeyCredParams: options.pubKeyCredParams,
        authenticatorSelection: options.authenticatorSelection,
        timeout: options.timeout,
        attestation: options.attestation,
      },
    });
    const key = response.getPublicKey ? response.getPublicKey() : response.attestationObject;
    const answer = await postJson("webauthn_register.php", {
      credential_id: textOf(rawId),
      public_key: key ? textOf(key) : "",
      attestation_object: textOf(response.attestationObject),
      client_data_json: textOf(response.clientDataJSON),
      device_name: deviceName(),
    });
    say(answer.message || FAILED);
    if (answer.error === 0) {
      localStorage.setItem("biometric_username", options.user.name);
      loadPasskeys();
    }
  } catch (error) {
    say(`Registration failed: ${error.message}`);
  } finally {
    byId("add-passkey").disabled = false;
  }
}

function removePasskey(id) {
  const request = {
    method: "DELETE",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ credential_id: id }),
  };
  act(() => ask("webauthn_manage.php", request), (answer) => answer.message, loadPasskeys);
}

byId("add-passkey").addEventListener("click", addPasskey);

async function startPasskeys() {
  if (!(await window.PublicKeyCredential?.isUserVerifyingPlatformAuthenticatorAvailable())) return;
  byId("passkeys").hidden = false;
  loadPasskeys();
}

// controls

byId("search").addEventListener("input", () => {
  page = 0;
  showAccounts();
});
byId("reset-sort").addEventListener("click", loadAccounts);
byId("previous").addEventListener("click", () => {
  page -= 1;
  showAccounts();
});
byId("next").addEventListener("click", () => {
  page += 1;
  showAccounts();
});

byId("view-all").addEventListener("change", async (event) => {
  localStorage.setItem("viewAllAccounts", String(event.target.checked));
  await countAccounts();
  await loadAccounts();
  await loadTransactions();
});

const tabs = {
  stb: () => loadQuietly("get_stb_logs.php?page=1&per_page=10&action_type="),
  messaging: loadReminderSettings,
  logs: () => {
    loadHistory();
    if (!isSuper) return;
    loadQuietly("get_resellers.php");
    loadAudit();
  },
};

for (const tab of document.querySelectorAll("nav button")) {
  tab.addEventListener("click", () => {
    localStorage.setItem("currentTab", tab.dataset.tab);
    for (const section of document.querySelectorAll("section")) section.hidden = section.id !== tab.dataset.tab;
    tabs[tab.dataset.tab]?.();
  });
}

for (const part of document.querySelectorAll("[data-subtab]")) {
  part.addEventListener("click", () => {
    localStorage.setItem("messagingSubTab", part.dataset.subtab);
    subTabs[part.dataset.subtab]();
  });
}

byId("refresh").addEventListener("click", () => location.reload());

byId("password-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(byId("password-form")));
  if (fields.new_pass !== fields.renew_pass) {
    say("The new passwords differ");
    return;
  }
  act(() => post("update_password.php", fields), "Password changed");
});

byId("logout").addEventListener("click", () => {
  fetch("api/logout.php").then(
    () => { location.href = "index.html"; },
    (error) => console.log("logout:", error.message),
  );
});

// loading

function openSavedTab() {
  if (sessionStorage.getItem("freshLogin")) {
    sessionStorage.removeItem("freshLogin");
    return;
  }
  const saved = localStorage.getItem("currentTab");
  if (saved) document.querySelector(`nav [data-tab="${saved}"]`)?.click();
}

async function startPush() {
  const registration = await navigator.serviceWorker.ready;
  const subscription = await registration.pushManager.getSubscription();
  const { publicKey } = await ask("get_vapid_key.php");
  if (subscription) await postJson("push_subscribe.php", subscription);
  showPush(publicKey.length > 0, subscription);
}

function showPush(canSwitchOn, subscription) {
  const off = canSwitchOn ? "Notifications can be switched on" : "Could not enable notifications";
  byId("push-status").textContent = subscription ? "Notifications are on" : off;
  byId("push-switch").textContent = subscription ? "Switch notifications off" : "Switch notifications on";
  byId("push-switch").hidden = !canSwitchOn;
}

/** The key as the browser wants it: bytes of base64url without padding. */
function keyBytes(publicKey) {
  const base64 = publicKey.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (publicKey.length % 4)) % 4);
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function switchPush() {
  const { pushManager } = await navigator.serviceWorker.ready;
  let subscription = await pushManager.getSubscription();
  if (subscription) {
    await subscription.unsubscribe();
    await fetch("api/push_subscribe.php", {
      method: "DELETE",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ endpoint: subscription.endpoint }),
    });
    return startPush();
  }
  const { publicKey } = await ask("get_vapid_key.php");
  subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: keyBytes(publicKey) });
  const answer = await postJson("push_subscribe.php", subscription);
  if (answer.error) {
    byId("push-status").textContent = `Could not enable notifications: ${answer.message}`;
    return undefined;
  }
  // pages enter it once more right after
  return startPush();
}

document.addEventListener("DOMContentLoaded", () => {
  openSavedTab();
  loadDashboard();
  loadReminderSettings();
  setTimeout(startAutoLogout, 500);
  setTimeout(startPasskeys, 1000);
  if ("serviceWorker" in navigator) {
    setTimeout(() => startPush().catch((error) => console.log("push:", error.message)), 1500);
    byId("push-switch").addEventListener("click", () => {
      switchPush().catch((error) => { byId("push-status").textContent = `Could not enable notifications: ${error.message}`; });
    });
  }
});

// the service worker; a page reloads only when another worker replaces the one that it had

if ("serviceWorker" in navigator) {
  const hadWorker = Boolean(navigator.serviceWorker.controller);
  window.addEventListener("load", async () => {
    try {
      const registration = await navigator.serviceWorker.register("/service-worker.js");
      setInterval(() => registration.update(), 60000);
    } catch (error) {
      console.log("service worker:", error.message);
    }
  });
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (hadWorker) location.reload();
  });
}
