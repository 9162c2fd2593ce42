<?php
require 'common.php';

$database = database();
user($database);
$total = rows($database, 'SELECT COUNT(*) AS n FROM _transactions')[0]['n'];
$sql = 'SELECT t.*, u.name AS reseller_name, u.username AS reseller_username FROM _transactions t'
    . ' LEFT JOIN _users u ON u.id = t.for_user ORDER BY t.id DESC LIMIT 100';
$transactions = [];
foreach (rows($database, $sql) as $row) {
    $row['mac_address'] = preg_match('/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/i', (string) $row['details'], $found) ? $found[0] : '';
    $row['date'] = date('Y-m-d H:i:s', (int) $row['timestamp']);
    $row['amount'] = (float) $row['amount'];
    $row['description'] = htmlspecialchars((string) $row['details']);
    $transactions[] = $row;
}
answer(['error' => 0, 'err_msg' => '', 'total' => (int) $total, 'transactions' => $transactions]);
