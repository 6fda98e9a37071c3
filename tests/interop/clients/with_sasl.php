<?php
// php-memcached with a user and a password: argv is HOST:PORT, the user and the password.
[, $address, $user, $password] = $argv;
[$host, $port] = explode(':', $address);
$client = new Memcached();
$client->setOption(Memcached::OPT_BINARY_PROTOCOL, true);
$client->setSaslAuthData($user, $password);
$client->addServer($host, (int) $port);
$done = $client->set('sasl', 'value', 100) && $client->get('sasl') === 'value' && $client->delete('sasl');
if (!$done) {
    fwrite(STDERR, $client->getResultMessage() . "\n");
}
exit($done ? 0 : 1);
