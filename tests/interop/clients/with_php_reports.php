<?php
// The way PHP pages about memcached read reports: over a socket of their own, line by line, into arrays by name and by
// class; and php-memcached's getStats. Against the server at argv[1].

declare(strict_types=1);

[$host, $port] = explode(':', $argv[1]);

function check(bool $true, string $what): void
{
    if (!$true) {
        throw new Exception($what);
    }
}

/** A report as an array; lines of a class or connection are arrays below its number. */
function report(string $name): array
{
    global $host, $port;
    $socket = fsockopen($host, (int) $port, $number, $error, 10);
    fwrite($socket, rtrim("stats $name") . "\r\n");
    $found = [];
    while (($line = fgets($socket)) !== false && rtrim($line) !== 'END') {
        check(preg_match('/^STAT (?:items:)?(?:(\d+):)?(\S+) ?(.*)\r\n$/', $line, $words) === 1, "an odd line: $line");
        if ($words[1] === '') {
            $found[$words[2]] = $words[3];
        } else {
            $found[(int) $words[1]][$words[2]] = $words[3];
        }
    }
    fclose($socket);
    return $found;
}

$tests = [
    'general report' => function (): void {
        $stats = report('');
        $names = ['uptime', 'time', 'version', 'curr_items', 'total_items', 'bytes', 'limit_maxbytes', 'curr_connections',
            'total_connections', 'cmd_get', 'cmd_set', 'get_hits', 'get_misses', 'evictions', 'bytes_read', 'bytes_written',
            'threads', 'delete_hits', 'incr_hits', 'decr_hits', 'cas_hits', 'cas_badval', 'reclaimed', 'hash_bytes', 'touch_hits'];
        foreach ($names as $name) {
            check(isset($stats[$name]) && $stats[$name] !== '', "$name is missing");
        }
        check((int) $stats['bytes'] <= (int) $stats['limit_maxbytes'] && (int) $stats['curr_items'] > 0, 'bytes and items');
    },
    'slabs and items by class' => function (): void {
        [$slabs, $items] = [report('slabs'), report('items')];
        check((int) $slabs['active_slabs'] > 0 && (int) $slabs['total_malloced'] > 0, 'totals');
        $number = 0;
        foreach (array_filter($items, 'is_array') as $class => $fields) {
            check(isset($slabs[$class]['chunk_size'], $slabs[$class]['used_chunks'], $slabs[$class]['total_pages']), "class $class");
            check((int) $fields['mem_requested'] > 0 && isset($fields['age'], $fields['evicted'], $fields['outofmemory']), "class $class");
            $number += (int) $fields['number'];
        }
        check($number === (int) report('')['curr_items'], 'the classes sum up to all items');
    },
    'settings' => function (): void {
        $settings = report('settings');
        check((int) $settings['maxbytes'] > 0 && (int) $settings['maxconns'] > 0 && $settings['evictions'] === 'on', 'settings');
    },
    'connections' => function (): void {
        $states = array_column(report('conns'), 'state');
        check(in_array('conn_listening', $states, true) && in_array('conn_parse_cmd', $states, true), 'states');
    },
    'getStats' => function (): void {
        global $host, $port;
        $client = new Memcached();
        $client->addServer($host, (int) $port);
        $stats = $client->getStats()["$host:$port"];
        check($stats['pid'] > 0 && $stats['cmd_set'] > 0 && $stats['curr_items'] > 0, 'getStats');
        check((int) $client->getStats('settings')["$host:$port"]['maxconns'] > 0, "getStats('settings')");
    },
];

$failed = 0;
foreach ($tests as $name => $test) {
    try {
        $test();
        echo "ok php reports: $name\n";
    } catch (Throwable $reason) {
        $failed = 1;
        echo "FAIL php reports: $name: {$reason->getMessage()}\n";
    }
}
exit($failed);
