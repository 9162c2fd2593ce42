"use strict";
// The SMS part of the messaging tab: settings only, as the newest generation does.

subTabs.sms = async () => {
  try {
    const answer = await ask("get_sms_settings.php");
    if (answer.error !== 0) return;
    showStatus(answer.settings.sender_number ? "SMS ready" : "SMS not set up");
    for (const template of answer.templates) console.log(template.name, template.template.length);
  } catch (error) {
    console.log("SMS settings:", error.message);
  }
};
