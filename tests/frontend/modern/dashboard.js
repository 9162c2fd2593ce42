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
    loadQuietly("get_audit_log.php?page=1&per_page=10");
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
  byId("push-status").textContent = publicKey ? "Notifications can be switched on" : "Could not enable notifications";
}

document.addEventListener("DOMContentLoaded", () => {
  openSavedTab();
  loadDashboard();
  loadReminderSettings();
  setTimeout(startAutoLogout, 500);
  if ("serviceWorker" in navigator) {
    setTimeout(() => startPush().catch((error) => console.log("push:", error.message)), 1500);
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
