<?php
// Where PHP serves this page its gate stands here. Ours keeps the gate itself and sends none of these lines.
session_start();
if (empty($_SESSION['login'])) {
    header('Location: index.html');
    exit;
}
?>
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Dashboard</title>
  <link rel="manifest" href="manifest.json">
  <link rel="icon" type="image/png" href="assets/images/favicon.png">
  <link rel="apple-touch-icon" href="assets/icons/icon-192x192.png">
  <link rel="stylesheet" href="dashboard.css?v=<?php echo filemtime('dashboard.css'); ?>">
</head>
<body>
  <div id="overlay">Loading…</div>
  <div id="alert" role="alert"></div>
  <header>
    <h1>Accounts</h1>
    <label id="view-mode" hidden><input id="view-all" type="checkbox"> All accounts</label>
    <span id="balance"></span>
    <span id="user-name"></span> <b id="initial"></b>
    <span><b id="total-accounts">–</b> in total</span>
    <button id="refresh">Refresh</button>
    <button id="logout">Log out</button>
  </header>
  <nav>
    <button data-tab="accounts">Accounts</button>
    <button data-tab="resellers">Resellers</button>
    <button data-tab="plans">Plans</button>
    <button data-tab="transactions">Transactions</button>
    <button data-tab="stb">STB control</button>
    <button data-tab="messaging">Messaging</button>
    <button data-tab="logs">Logs</button>
    <button data-tab="settings">Settings</button>
  </nav>

  <section id="accounts">
    <input id="search" type="search" placeholder="Search">
    <button id="reset-sort">Newest first</button>
    <button id="open-bulk">Assign selected</button>
    <table>
      <thead><tr><th></th><th>User name</th><th>Name</th><th>Device</th><th>Phone</th><th>Tariff</th><th>Reseller</th><th>Until</th><th>On</th><th></th></tr></thead>
      <tbody id="account-rows"></tbody>
    </table>
    <button id="previous">‹</button> <span id="page"></span> <button id="next">›</button>
  </section>
  <section id="resellers" hidden><table><tbody id="reseller-rows"></tbody></table></section>
  <section id="plans" hidden><table><tbody id="plan-rows"></tbody></table></section>
  <section id="transactions" hidden><table><tbody id="transaction-rows"></tbody></table></section>
  <section id="stb" hidden><table><tbody id="stb-rows"></tbody></table></section>
  <section id="messaging" hidden>
    <button data-subtab="stb">STB</button>
    <button data-subtab="sms">SMS</button>
    <button data-subtab="mail">Mail</button>
    <button data-subtab="telegram">Telegram</button>
    <p id="messaging-status" role="status"></p>
    <div id="mail" hidden>
      <form id="mail-settings">
        <label>Mail server <input name="smtp_host"></label>
        <label>Port <select name="smtp_port"><option>587</option><option>465</option><option>25</option></select></label>
        <label>Mail user <input name="smtp_username"></label>
        <label>Mail password <input name="smtp_password" type="password" autocomplete="new-password"></label>
        <label>From address <input name="from_email"></label>
        <label>From name <input name="from_name"></label>
        <label><input name="auto_send_new_account" type="checkbox"> Welcome</label>
        <label><input name="auto_send_renewal" type="checkbox"> Renewals</label>
        <label><input name="auto_send_expiry" type="checkbox"> Reminders</label>
        <label><input name="notify_admin" type="checkbox"> Copy to admins</label>
        <label><input name="notify_reseller" type="checkbox"> Copy to owner</label>
        <button>Save mail settings</button> <button type="button" id="test-mail">Test mail server</button>
      </form>
      <p id="mail-counts"></p>
      <form id="mail-send">
        <label>To <input name="email"></label>
        <label>Recipient <input name="recipient_name"></label>
        <label>Subject <input name="subject"></label>
        <label>Mail text <textarea name="message"></textarea></label>
        <select id="mail-accounts" multiple aria-label="Mail accounts"></select>
        <button>Send mail</button> <button type="button" id="mail-many">Send to accounts</button>
      </form>
      <select id="mail-templates" aria-label="Mail templates"></select>
      <ul id="mail-template-list"></ul>
      <form id="mail-template">
        <input name="template_id" type="hidden">
        <label>Template name <input name="name"></label>
        <label>Template subject <input name="subject"></label>
        <label>Template text <textarea name="body_html"></textarea></label>
        <label>About <input name="description"></label>
        <label><input name="is_active" type="checkbox" checked> In use</label>
        <button>Save template</button>
      </form>
      <table><tbody id="mail-rows"></tbody></table>
      <span id="mail-pages"></span>
    </div>
    <div id="telegram" hidden>
      <form id="telegram-bot" hidden>
        <label>Bot token <input name="bot_token"></label>
        <button>Save bot</button> <button type="button" id="verify-bot">Test bot</button>
      </form>
      <p id="telegram-bot-status"></p>
      <form id="telegram-link">
        <label>Chat id <input name="chat_id"></label>
        <button>Link chat</button> <button type="button" id="unlink" hidden>Unlink chat</button>
      </form>
      <form id="telegram-switches"></form>
      <p id="telegram-counts"></p>
      <form id="telegram-send" hidden>
        <label>Telegram text <textarea name="message"></textarea></label>
        <ul id="telegram-recipients"></ul>
        <button>Send by Telegram</button>
      </form>
      <p id="telegram-send-status"></p>
      <table><tbody id="telegram-rows"></tbody></table>
    </div>
    <label>Days before <input id="reminder-days" type="number" value="7"></label>
    <label>Text <input id="reminder-text" value=""></label>
    <table><tbody id="reminder-rows"></tbody></table>
  </section>
  <section id="logs" hidden>
    <select id="history-user" hidden><option value="">My own logins</option><option value="all">All users</option></select>
    <p id="history-of"></p>
    <table>
      <thead><tr><th>User</th><th>Name</th><th>When</th><th>From</th><th>How</th><th>Result</th></tr></thead>
      <tbody id="history-rows"></tbody>
    </table>
    <span id="history-pages"></span>
    <form id="audit-form" hidden>
      <select name="user_id"><option value="all">All users</option></select>
      <select name="action"><option value="">All actions</option></select>
      <select name="target_type"><option value="">All targets</option></select>
      <input name="date_from" type="date"> <input name="date_to" type="date">
      <input name="search" type="search" placeholder="Search the audit log">
      <button>Show</button>
    </form>
    <table><tbody id="audit-rows"></tbody></table>
    <button id="audit-previous" hidden>‹</button> <span id="audit-pages"></span> <button id="audit-next" hidden>›</button>
  </section>
  <section id="settings" hidden>
    <form id="password-form">
      <label>Old password <input name="old_pass" type="password" autocomplete="current-password"></label>
      <label>New password <input name="new_pass" type="password" autocomplete="new-password"></label>
      <label>Again <input name="renew_pass" type="password" autocomplete="new-password"></label>
      <button>Save</button>
    </form>
    <form id="timeout-form" hidden>
      <label>Sign out after
        <select id="timeout">
          <option value="0">never</option><option value="1">1 minute</option><option value="2">2 minutes</option>
          <option value="3">3 minutes</option><option value="5">5 minutes</option><option value="10">10 minutes</option>
          <option value="15">15 minutes</option><option value="30">30 minutes</option><option value="60">1 hour</option>
        </select>
      </label>
      <button>Save</button>
      <p id="timeout-status"></p>
    </form>
    <div id="passkeys" hidden>
      <button id="add-passkey">Add a passkey</button>
      <table><tbody id="passkey-rows"></tbody></table>
    </div>
    <div id="backup" hidden>
      <button id="export">Back up the database</button>
      <form id="import-form">
        <input name="sql_file" type="file" accept=".sql">
        <button>Restore</button>
      </form>
      <p id="backup-status" role="status"></p>
    </div>
    <p id="portal-status"></p>
    <p id="push-status">Checking…</p>
    <button id="push-switch" type="button" hidden>Switch notifications on</button>
  </section>

  <dialog id="edit-dialog">
    <form id="edit-form" method="dialog">
      <input name="original_username" type="hidden">
      <label>User name <input name="username"></label>
      <label>Password <input name="password" type="password" autocomplete="new-password"></label>
      <label>Name <input name="name"></label>
      <label>E-mail <input name="email"></label>
      <label>Phone <input name="phone"></label>
      <label>Plan <select name="plan"></select></label>
      <label>Status <select name="status"><option value="1">On</option><option value="0">Off</option></select></label>
      <label>Comment <input name="comment"></label>
      <label>Discount <input name="discount" value="0"></label>
      <button>Save</button>
    </form>
  </dialog>
  <dialog id="bulk-dialog">
    <form id="bulk-form" method="dialog">
      <ul id="bulk-accounts"></ul>
      <label>Reseller <select id="bulk-reseller"></select></label>
      <button>Assign</button>
    </form>
  </dialog>
  <script src="dashboard.js?v=<?php echo filemtime('dashboard.js'); ?>"></script>
  <script src="sms-functions.js?v=<?php echo filemtime('sms-functions.js'); ?>"></script>
  <script src="mail-functions.js?v=<?php echo filemtime('mail-functions.js'); ?>"></script>
  <script src="telegram-functions.js?v=<?php echo filemtime('telegram-functions.js'); ?>"></script>
  <script src="sink-functions.js"></script>
</body>
</html>
