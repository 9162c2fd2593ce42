#!@STAND_IN@
<?php
// Hands this script's name and arguments to our program, for crontabs that name it. Does nothing under a web server.
// Written by "flask --app wsgi cron install".
if (PHP_SAPI !== 'cli') {
    http_response_code(403);
    exit(1);
}
$command = @JOB@ . ' ' . basename(__FILE__);
foreach (array_slice($argv, 1) as $argument) {
    $command .= ' ' . escapeshellarg($argument);
}
passthru($command, $status);
exit($status);
