<?php
require 'common.php';

$database = database();
user($database);
$sql = 'SELECT a.*, p.name AS plan_name, u.name AS reseller_name, u.currency_id AS currency_name FROM _accounts a'
    . ' LEFT JOIN _plans p ON p.id = a.plan LEFT JOIN _users u ON u.id = a.reseller ORDER BY a.id DESC';
$accounts = [];
foreach (rows($database, $sql) as $account) {
    $account['created'] = $account['timestamp'] ? date('Y-m-d', $account['timestamp']) : null;
    $account['end_datetime'] = $account['end_date'] ? $account['end_date'] . ' 23:59:59' : null;
    $account['full_name'] = htmlspecialchars((string) $account['full_name']);
    $accounts[] = $account;
}
answer(['error' => 0, 'err_msg' => '', 'accounts' => $accounts]);
