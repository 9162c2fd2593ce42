"use strict";
// The mail part of the messaging tab; it asks for everything at once.

subTabs.mail = () => {
  loadMailSettings();
  loadQuietly("get_accounts.php");
  loadQuietly(`get_mail_logs.php?date=${today()}&page=1&limit=25`);
};

async function loadMailSettings() {
  try {
    const answer = await ask("get_mail_settings.php");
    if (answer.error === 0) showStatus(`Mail by ${answer.settings.smtp_host}`);
    else showStatus(answer.message);
  } catch {
    showStatus("Error loading settings");
  }
}
