<?php
// PHP's session handler over php-memcached, binary and text: a session is written, read, locked and destroyed.

declare(strict_types=1);

ob_start(); // A session wants to begin before anything is said.

ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', $argv[1]);
ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('memcached.sess_locking', '1');
ini_set('memcached.sess_binary_protocol', ($argv[2] ?? '') === 'binary' ? '1' : '0');
$name = 'php sessions' . (isset($argv[2]) ? " $argv[2]" : '');

function check(bool $true, string $what): void
{
    global $name, $failed;
    echo $true ? "ok $name: $what\n" : "FAIL $name: $what\n";
    $failed = $failed || !$true;
}

$failed = false;
session_id('session' . getmypid());
check(session_start() && $_SESSION === [], 'a new session is empty');
$_SESSION['user'] = ['name' => "caf\u{e9}", 'cart' => range(1, 5000)];
check(session_write_close(), 'it is written');
$_SESSION = [];
check(session_start() && $_SESSION['user']['cart'][4999] === 5000, 'it is read again');
$_SESSION['big'] = str_repeat('x', 200000);
session_write_close();
session_start();
check(strlen($_SESSION['big']) === 200000, 'a large one, too');
check(session_regenerate_id(true) && isset($_SESSION['user']), 'it goes on under another id');
check(session_destroy(), 'it is destroyed');
session_start();
check($_SESSION === [], 'and empty then');
session_write_close();
exit($failed ? 1 : 0);
