#!/usr/bin/env php
<?php
// Hands this script's name and arguments to our program, for crontabs that name it. Does nothing under a web server.
// Stands in the directory that "cron install" was given; a link in the panel's root leads here, so that no file below
// that root tells a path.
if (PHP_SAPI !== 'cli') {
    http_response_code(403);
    exit(1);
}
$command = escapeshellarg(dirname(__DIR__) . '/showbox-job') . ' ' . escapeshellarg(basename(__FILE__));
foreach (array_slice($argv, 1) as $argument) {
    $command .= ' ' . escapeshellarg($argument);
}
passthru($command, $status);
exit($status);
