"use strict";
// The Telegram part of the messaging tab: settings first, then the log. Its status line is HTML.

subTabs.telegram = async () => {
  try {
    const answer = await ask("telegram/get_settings.php");
    byId("messaging-status").innerHTML = answer.error === 0 ? "Telegram ready" : answer.message;
    await ask("telegram/get_logs.php?date=&status=&message_type=&page=1&per_page=25");
  } catch (error) {
    console.log("Telegram:", error.message);
  }
};
