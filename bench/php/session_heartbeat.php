<?php
require 'common.php';

$database = database();
$user = user($database);
$setting = rows($database, "SELECT setting_value FROM _app_settings WHERE setting_key = 'auto_logout_timeout'");
$timeout = (int) ($setting[0]['setting_value'] ?? 5);
$previous = $_SESSION['last_activity'];
$_SESSION['last_activity'] = time();
answer([
    'error' => 0,
    'err_msg' => '',
    'expired' => false,
    'timeout_minutes' => $timeout,
    'time_remaining_seconds' => max(0, $timeout * 60 - (time() - $previous)),
    'last_activity' => $previous,
]);
