"use strict";
// The dashboard of the older generation as a server meets it: contract chapter 05, columns and rows marked A.
// Loose comparisons, reads without a guard and unescaped HTML are what is recorded there, and stay.

const byId = (id) => document.getElementById(id);
const FAILED = "Something went wrong";
const ROWS_PER_PAGE = 25;

let permissions = [];
let isSuper = false;
let isObserver = false;
let isResellerAdmin = false;
let accounts = [];
let plans = [];
let page = 0;

const ask = async (path, options) => (await fetch(path, options)).json();

const post = (path, fields) => {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return ask(path, { method: "POST", body });
};

const viewFlag = () => localStorage.getItem("viewAllAccounts") || "false";
const today = () => new Date().toISOString().slice(0, 10);

function say(text) {
  byId("alert").textContent = text;
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

// the user

function showUser(answer) {
  const user = answer.user;
  isSuper = user.super_user == 1;
  isObserver = user.is_observer == 1;
  isResellerAdmin = !isSuper && (user.is_reseller_admin === true || user.is_reseller_admin === "1");
  permissions = user.permissions ? user.permissions.split("|") : [];
  if (isObserver) byId("user-name").innerHTML = `<i>Observer</i> ${user.name}`;
  else byId("user-name").textContent = user.name;
  if (!isSuper && !isObserver) byId("balance").textContent = `${Number(user.balance).toFixed(2)} ${user.currency_name}`;
  byId("total-accounts").textContent = answer.total_accounts;
  byId("view-mode").hidden = !isResellerAdmin;
  byId("view-all").checked = viewFlag() === "true";
  const limited = !isSuper && !isObserver && !isResellerAdmin;
  for (const tab of document.querySelectorAll("nav button")) {
    const caption = tab.textContent.toLowerCase();
    tab.hidden = limited && (/reseller|plan/.test(caption) || (caption === "messaging" && permissions[6] !== "1"));
  }
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

// lists

function loadLists() {
  loadAccounts();
  loadRows("transactions", "get_transactions.php", "transaction-rows", (row) => [
    new Date(row.timestamp * 1000).toLocaleDateString(), row.details, row.amount,
  ]);
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

async function loadPlans(query = `?viewAllAccounts=${viewFlag()}`) {
  const answer = await loadRows("plans", `get_plans.php${query}`, "plan-rows", (row) => [
    row.external_id, row.name, Number(row.price).toFixed(2), row.currency_id,
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
  // a click on the label also clicks the box: the handler runs twice
  const toggle = `<label onclick="toggleStatus('${a.username}', ${a.status == 1 ? 0 : 1})">
    <input type="checkbox" ${a.status == 1 ? "checked" : ""}> <span>on</span></label>`;
  const actions = `<button onclick="editAccount('${a.username}')">Edit</button>
    <button onclick="removeAccount('${a.username}')">Delete</button>`;
  const cells = [a.username, a.full_name, a.mac, a.tariff_plan, a.reseller_name, until];
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
  await loadPlans("");
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
  await loadPlans();
});

for (const tab of document.querySelectorAll("nav button")) {
  tab.addEventListener("click", () => {
    for (const section of document.querySelectorAll("section")) section.hidden = section.id !== tab.dataset.tab;
    if (tab.dataset.tab === "messaging") loadReminderSettings();
  });
}

byId("open-password").addEventListener("click", () => byId("password-dialog").showModal());
byId("password-form").addEventListener("submit", () => {
  const fields = Object.fromEntries(new FormData(byId("password-form")));
  if (fields.new_pass !== fields.renew_pass) {
    say("The new passwords differ");
    return;
  }
  act(() => post("update_password.php", fields), "Password changed");
});

byId("logout").addEventListener("click", () => {
  fetch("logout.php").then(
    () => { location.href = "index.html"; },
    (error) => console.log("logout:", error.message),
  );
});

document.addEventListener("DOMContentLoaded", () => {
  loadDashboard();
  loadReminderSettings();
});

// the service worker; its first taking over reloads the page as well

if ("serviceWorker" in navigator) {
  window.addEventListener("load", async () => {
    try {
      const registration = await navigator.serviceWorker.register("/service-worker.js");
      setInterval(() => registration.update(), 60000);
    } catch (error) {
      console.log("service worker:", error.message);
    }
  });
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
}
