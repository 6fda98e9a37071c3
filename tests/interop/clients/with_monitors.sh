#!/bin/bash
# What watches caches, against the server at $1, after some load: memcstat, munin's plugin, collectd's plugin, and
# a PHP page's way of reading reports. Each must see the load in numbers.
set -u

server=$1
host=${server%:*} port=${server##*:}
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
failed=0

try() { # try NAME PATTERN COMMAND...: the command's output must have a line that matches
    local name=$1 pattern=$2
    shift 2
    "$@" > "$folder/out" 2>&1
    if grep -qE -e "$pattern" "$folder/out"; then
        echo "ok monitors: $name"
    else
        failed=1
        echo "FAIL monitors: $name: $(tail -n 1 "$folder/out")"
    fi
}

munin() { # its graphs are chosen by the name it is called by
    ln -sf /usr/share/munin/plugins/memcached_ "$folder/memcached_$1"
    host=$host port=$port timeout 60 perl "$folder/memcached_$1"
}

collect() { # reads each second, writes a file for every value it understood
    cat > "$folder/collectd.conf" << END
BaseDir "$folder"
PIDFile "$folder/pid"
Interval 1
LoadPlugin memcached
LoadPlugin csv
<Plugin csv>
  DataDir "$folder/csv"
</Plugin>
<Plugin memcached>
  <Instance "local">
    Host "$host"
    Port "$port"
  </Instance>
</Plugin>
END
    # Three rounds: what counts up is shown as a rate, from the second on.
    timeout 5 collectd -f -C "$folder/collectd.conf"
    for file in "$folder"/csv/*/memcached-local/*; do
        echo "$(basename "$file" | sed 's/-20[0-9-]*$//') $(tail -n 1 "$file")"
    done
}

memcslap --servers="$server" --test=set --concurrency=2 --execute-number=1000 > "$folder/load" 2>&1 ||
    { echo "FAIL monitors: no load: $(tail -n 1 "$folder/load")" && exit 1; }

try "memcstat: items" 'curr_items: [1-9]' timeout 60 memcstat --servers="$server"
try "memcstat: sets" 'cmd_set: [1-9]' timeout 60 memcstat --servers="$server"
try "memcstat: reports by name" 'chunk_size: [1-9]' timeout 60 memcstat --servers="$server" --args=slabs
try "munin: traffic" '^memcache_bytes_read\.value [1-9]' munin bytes
try "munin: rates" '^memcache_cmd_set\.value [1-9]' munin rates
try "munin: items" '^memcache_total_items\.value [1-9]' munin rates
collect > "$folder/collected"
try "collectd: items" '^memcached_items-current .*,[1-9]' cat "$folder/collected"
for value in df-cache memcached_command-set memcached_connections-current memcached_octets ps_cputime ps_count; do
    try "collectd: $value" "^$value [0-9.]+,.*[0-9]$" cat "$folder/collected"
done
php "$here/with_php_reports.php" "$server" || failed=1
exit $failed
