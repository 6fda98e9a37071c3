#!/usr/bin/perl
# Cache::Memcached::Fast: its whole surface against the server at $ARGV[0].
use strict;
use warnings;
use Cache::Memcached::Fast;

my $address = $ARGV[0];
my $failed  = 0;
my $client;

sub check {
    my ($true, $what) = @_;
    die "$what\n" unless $true;
}

sub same {
    my ($got, $wanted, $what) = @_;
    check(defined $got && $got eq $wanted, "$what: got " . (defined $got ? substr($got, 0, 60) : 'undef'));
}

my %tests = (
    storing => sub {
        check($client->set(a => 1), 'set');
        same($client->get('a'), 1, 'get');
        check(!$client->add(a => 2), 'add to an existing key');
        check($client->replace(a => 3),        'replace');
        check(!$client->replace(missing => 1), 'replace of a missing key');
        check($client->append(a => 4),  'append');
        check($client->prepend(a => 2), 'prepend');
        same($client->get('a'), '234', 'get after append');
        check(!defined $client->get('missing'), 'a missing key');
    },
    compare_and_swap => sub {
        $client->set(a => 1);
        my $pair = $client->gets('a');
        same($pair->[1], 1, 'gets');
        check($client->cas('a', $pair->[0], 2),  'cas');
        check(!$client->cas('a', $pair->[0], 3), 'cas with an old number');
        same($client->get('a'), 2, 'get after cas');
    },
    many => sub {
        my $set = $client->set_multi(map { ["m$_", $_ x 3] } 0 .. 199);
        check(200 == grep({ $_ } values %$set), 'set_multi');
        my $found = $client->get_multi(map { "m$_" } 0 .. 249);
        check(200 == keys %$found, 'get_multi');
        same($found->{m17}, '171717', 'get_multi value');
        my $pairs = $client->gets_multi('m1', 'm2', 'missing');
        check(2 == keys %$pairs, 'gets_multi');
        my @swapped = $client->cas_multi(map { [$_, $pairs->{$_}[0], 'new'] } qw(m1 m2));
        check(2 == grep({ $_ } @swapped), 'cas_multi');
        $client->delete_multi(map { "m$_" } 0 .. 99);
        check(100 == keys %{ $client->get_multi(map { "m$_" } 0 .. 199) }, 'delete_multi');
        $client->touch_multi(map { ["m$_", 1000] } 100 .. 199);
        check($client->append_multi(['m100', 'x'], ['m101', 'y']), 'append_multi');
        same($client->get('m101'), '101101101y', 'append_multi value');
    },
    counting => sub {
        $client->set(n => 10);
        same($client->incr('n', 5), 15, 'incr');
        same($client->decr('n', 6), 9,  'decr');
        same($client->decr('n', 100) + 0, 0, 'decr stops at 0');
        check(!$client->incr('missing', 1), 'incr of a missing key');
        my $counted = $client->incr_multi(['n', 3], 'missing');
        same($counted->{n}, 3, 'incr_multi');
    },
    expiring => sub {
        $client->set(t => 1, 1);
        $client->set(u => 1, 1);
        check($client->touch(u => 100), 'touch');
        my $end = time + 5;
        while (defined $client->get('t')) { check(time < $end, 'does not expire'); select undef, undef, undef, 0.05; }
        same($client->get('u'), 1, 'touched key');
        my $found = $client->gat(100, 'u');
        same($found, 1, 'gat');
        check(1 == keys %{ $client->gat_multi(100, 'u', 'missing') }, 'gat_multi');
        same($client->gats(100, 'u')->[1], 1, 'gats');
    },
    deleting => sub {
        $client->set(a => 1);
        check($client->delete('a'),  'delete');
        check(!$client->delete('a'), 'delete of a missing key');
        $client->set(a => 1);
        $client->flush_all;
        check(!defined $client->get('a'), 'flush_all');
    },
    quietly => sub {
        $client->set("q$_", $_) for 0 .. 499;
        $client->incr('q7', 3);
        $client->delete('q8');
        $client->nowait_push;
        same($client->get('q7'), 10, 'noreply incr');
        check(!defined $client->get('q8'), 'noreply delete');
    },
    values => sub {
        my $object = { a => [1, 2, { b => undef }], text => "x\r\n\0" };
        $client->set(o => $object);
        same($client->get('o')->{text}, "x\r\n\0", 'an object');
        my $text = "compress me " x 50_000;
        $client->set(z => $text);
        same($client->get('z'), $text, 'a compressed value');
        my $big = join '', map { chr(int rand 256) } 1 .. 1000;
        $big x= 900;
        $client->set(big => $big);
        same($client->get('big'), $big, 'a large value');
        $client->set('k' x 240, 1);
        same($client->get('k' x 240), 1, 'a long key');
        $client->set(empty => '');
        same($client->get('empty'), '', 'an empty value');
    },
    administration => sub {
        my ($version) = values %{ $client->server_versions };
        check($version =~ /^1\.6\./, "version $version");
        check($client->namespace('other:') eq 'fast:', 'namespace');
        $client->set(a => 1);
        $client->namespace('fast:');
        $client->disconnect_all;
        check($client->set(a => 2), 'set after disconnect_all');
    },
);

for my $name (sort keys %tests) {
    $client = Cache::Memcached::Fast->new({
        servers => [{ address => $address }], namespace => 'fast:', compress_threshold => 10_000, nowait => $name eq 'quietly', utf8 => 0,
    });
    if (eval { $tests{$name}->(); 1 }) {
        print "ok perl-fast: $name\n";
    } else {
        $failed = 1;
        print "FAIL perl-fast: $name: $@";
    }
}
exit $failed;
