<?php
require 'common.php';

$database = database();
$user = user($database);
$counted = $user['super_user']
    ? rows($database, 'SELECT COUNT(*) AS n FROM _accounts')
    : rows($database, 'SELECT COUNT(*) AS n FROM _accounts WHERE reseller = ?', [$user['id']]);
unset($user['password']);
answer(['error' => 0, 'err_msg' => '', 'user' => $user, 'total_accounts' => (int) $counted[0]['n']]);
