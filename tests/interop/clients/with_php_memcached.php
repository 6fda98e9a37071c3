<?php
// php-memcached (libmemcached): its whole surface against the server at argv[1]; argv[2] may be `binary`.

declare(strict_types=1);

[$host, $port] = explode(':', $argv[1]);
define('BINARY', ($argv[2] ?? '') === 'binary');
define('NAME', BINARY ? 'php-memcached binary' : 'php-memcached');

function client(array $options = []): Memcached
{
    global $host, $port;
    $client = new Memcached();
    $client->setOption(Memcached::OPT_BINARY_PROTOCOL, BINARY);
    $client->setOptions($options);
    $client->addServer($host, (int) $port);
    return $client;
}

function check(bool $true, string $what): void
{
    if (!$true) {
        throw new Exception($what);
    }
}

$tests = [
    'storing' => function (Memcached $c): void {
        check($c->set('a', '1') && $c->get('a') === '1', 'set and get');
        $refused = BINARY ? Memcached::RES_DATA_EXISTS : Memcached::RES_NOTSTORED;
        check(!$c->add('a', '2') && $c->getResultCode() === $refused, 'add');
        check($c->replace('a', '3') && !$c->replace('missing', 'x'), 'replace');
        $c->setOption(Memcached::OPT_COMPRESSION, false);
        check($c->append('a', '4') && $c->prepend('a', '2') && $c->get('a') === '234', 'append and prepend');
        check($c->get('missing') === false && $c->getResultCode() === Memcached::RES_NOTFOUND, 'a miss');
        check($c->get('made', fn ($m, $key, &$value) => (bool) ($value = 'by callback')) === 'by callback', 'read-through');
        check($c->get('made') === 'by callback', 'read-through is kept');
        check($c->setByKey('g', 'b', 'v') && $c->getByKey('g', 'b') === 'v', 'by key');
    },
    'compare and swap' => function (Memcached $c): void {
        $c->set('a', 1);
        $got = $c->get('a', null, Memcached::GET_EXTENDED);
        check($c->cas($got['cas'], 'a', 2), 'cas');
        check(!$c->cas($got['cas'], 'a', 3) && $c->getResultCode() === Memcached::RES_DATA_EXISTS, 'cas with an old number');
    },
    'many' => function (Memcached $c): void {
        $items = [];
        for ($i = 0; $i < 200; $i++) {
            $items["m$i"] = str_repeat("$i", $i);
        }
        check($c->setMulti($items, 1000), 'setMulti');
        check($c->getMulti([...array_keys($items), 'missing'], Memcached::GET_PRESERVE_ORDER)['m17'] === $items['m17'], 'getMulti');
        check($c->getDelayed(['m1', 'm2'], true) && count($c->fetchAll()) === 2, 'getDelayed');
        check($c->deleteMulti(['m1', 'm2', 'missing'])['m1'] === true && $c->get('m1') === false, 'deleteMulti');
    },
    'counting' => function (Memcached $c): void {
        $c->set('n', 10);
        check($c->increment('n', 5) === 15 && $c->decrement('n', 6) === 9 && $c->decrement('n', 100) === 0, 'counting');
        check($c->increment('missing') === false, 'a missing key');
    },
    'expiring' => function (Memcached $c): void {
        $c->set('t', 1, 1);
        $c->set('u', 1, 1);
        check($c->touch('u', 100) && !$c->touch('missing', 1), 'touch');
        for ($end = microtime(true) + 5; $c->get('t') !== false; usleep(50000)) {
            check(microtime(true) < $end, 'does not expire');
        }
        check($c->get('u') === 1, 'a touched key');
    },
    'deleting' => function (Memcached $c): void {
        $c->set('a', 1);
        check($c->delete('a') && !$c->delete('a'), 'delete');
        $c->set('a', 1);
        check($c->flush() && $c->get('a') === false, 'flush');
    },
    'values' => function (Memcached $c): void {
        foreach (["caf\u{e9}", "\0\r\n\xff", 7, 1.5, true, null, ['a' => [1, ['b' => null]]], ''] as $value) {
            check($c->set('o', $value) && $c->get('o') === $value, 'a value of type ' . gettype($value));
        }
        $text = str_repeat("text\r\n", 100000);
        check($c->set('z', $text) && $c->get('z') === $text, 'a compressed value');
        $c->setOption(Memcached::OPT_COMPRESSION, false);
        $big = random_bytes(1000000);
        check($c->set('big', $big) && $c->get('big') === $big, 'a large value');
        check(!$c->set('big', str_repeat('x', 1100000)) && $c->getResultCode() === Memcached::RES_E2BIG, 'too large');
        $c->setOption(Memcached::OPT_SERIALIZER, Memcached::SERIALIZER_JSON_ARRAY);
        check($c->set('j', ['x' => 1]) && $c->get('j') === ['x' => 1], 'json');
    },
    'buffered and quiet' => function (Memcached $c): void {
        foreach ([Memcached::OPT_BUFFER_WRITES, Memcached::OPT_NOREPLY, Memcached::OPT_NO_BLOCK, Memcached::OPT_TCP_NODELAY] as $option) {
            $other = client([$option => true]);
            for ($i = 0; $i < 200; $i++) {
                $other->set("b$i", $i);
            }
            check($other->get('b199') === 199, "option $option");
        }
    },
    'administration' => function (Memcached $c): void {
        $version = array_values($c->getVersion())[0];
        check(str_starts_with($version, '1.6.'), "version $version");
        $stats = array_values($c->getStats())[0];
        check($stats['pid'] > 0 && str_starts_with($stats['version'], $version), 'stats');
        check(count(array_values($c->getStats('settings'))[0]) > 0, 'stats settings');
        check($c->quit() && $c->set('a', 1), 'quit and on');
    },
];
if (!BINARY) { // which has no list of keys
    $tests['listing keys'] = function (Memcached $c): void {
        $c->setOption(Memcached::OPT_COMPRESSION, false);
        $c->flush();
        $expected = [];
        for ($i = 100; $i < 300; $i++) {
            $length = [1, 40, 150, 400, 900, 2000, 4100, 9000, 16000, 120000][$i % 10];
            check($c->set($expected[] = "k$i", str_repeat('v', $length)), 'set');
        }
        $keys = $c->getAllKeys();
        check(is_array($keys), 'getAllKeys: ' . $c->getResultMessage());
        sort($keys);
        check($keys === $expected, count($keys) . ' of 200 keys are listed');
    };
}

$failed = 0;
foreach ($tests as $name => $test) {
    try {
        $test(client());
        echo "ok " . NAME . ": $name\n";
    } catch (Throwable $reason) {
        $failed = 1;
        echo "FAIL " . NAME . ": $name: {$reason->getMessage()}\n";
    }
}
exit($failed);
