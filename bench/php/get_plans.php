<?php
require 'common.php';

$database = database();
user($database);
$plans = [];
foreach (rows($database, 'SELECT * FROM _plans ORDER BY id DESC') as $plan) {
    $plans[] = [
        'id' => (int) $plan['id'],
        'plan_id' => $plan['external_id'],
        'external_id' => $plan['external_id'],
        'name' => htmlspecialchars((string) $plan['name']),
        'currency' => $plan['currency_id'],
        'price' => (float) $plan['price'],
        'days' => (int) $plan['days'],
    ];
}
answer(['error' => 0, 'err_msg' => '', 'plans' => $plans]);
