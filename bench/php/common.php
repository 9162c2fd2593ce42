<?php
// What every script of the yardstick begins with: the session, the database, the answer. PHP at its shortest.

session_save_path($_SERVER['BENCH_SESSIONS']);
session_start();

function database(): PDO
{
    return new PDO($_SERVER['BENCH_DSN'], $_SERVER['BENCH_USER'], $_SERVER['BENCH_PASSWORD'], [
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
        PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
    ]);
}

function rows(PDO $database, string $sql, array $values = []): array
{
    $statement = $database->prepare($sql);
    $statement->execute($values);
    return $statement->fetchAll();
}

function user(PDO $database): array
{
    if (empty($_SESSION['login'])) {
        answer(['error' => 1, 'err_msg' => 'Not logged in']);
    }
    $sql = 'SELECT u.*, c.name AS currency_name FROM _users u LEFT JOIN _currencies c ON c.id = u.currency_id'
        . ' WHERE u.username = ?';
    return rows($database, $sql, [$_SESSION['username']])[0];
}

function answer(array $content): never
{
    header('Content-Type: application/json');
    $body = json_encode($content);
    if (strlen($body) > 4096 && str_contains($_SERVER['HTTP_ACCEPT_ENCODING'] ?? '', 'gzip')) {
        header('Content-Encoding: gzip');
        $body = gzencode($body, 1);
    }
    header('Content-Length: ' . strlen($body));
    echo $body;
    exit;
}
