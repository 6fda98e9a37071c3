#!/bin/bash
# libmemcached-tools: every tool of the package against the server at $1; $2 may be `binary`.
# memcping and memcdump speak text alone.
set -u # no pipefail: memcstat --server-version prints the version and exits with 1

server=$1
how=${2:+--$2}
tools=libmemcached-tools${2:+ $2}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
failed=0

try() { # try NAME HOW COMMAND...: the command must do within a minute what HOW says
    local name=$1
    shift
    if "$@" > "$folder/out" 2>&1; then
        echo "ok $tools: $name"
    else
        failed=1
        echo "FAIL $tools: $name: $(tail -n 1 "$folder/out")"
    fi
}

runs() { timeout 60 "$@"; }
fails() { ! timeout 60 "$@"; }
same() { cmp <(timeout 60 "${@:2}") "$1"; }
shows() { timeout 60 "${@:2}" 2>&1 | tee /dev/stderr | grep -e "$1" > /dev/null; }

head -c 700000 /dev/urandom | base64 -w 75 | head -c 900000 > "$folder/big"
printf 'small' > "$folder/small"
printf 'small\n' > "$folder/small-line"
printf 'dumped' > "$folder/dumped"

try "memcping" runs memcping --servers="$server"
try "memcflush" runs memcflush $how --servers="$server"
try "memccp" runs memccp $how --servers="$server" --set "$folder/small" "$folder/big"
try "memccp --expire" runs memccp $how --servers="$server" --expire=100 --flag=7 "$folder/small"
try "memccat --flags" shows '^7$' memccat $how --servers="$server" --flags small
try "memccp --add of an existing key fails" fails memccp $how --servers="$server" --add "$folder/small"
try "memccp --replace" runs memccp $how --servers="$server" --replace "$folder/small"
try "memccat" same "$folder/small-line" memccat $how --servers="$server" small
try "memccat --file" runs memccat $how --servers="$server" --file="$folder/copy" big
try "the large file is whole" runs cmp -n 900000 "$folder/big" "$folder/copy"
try "memcexist" runs memcexist $how --servers="$server" small
try "memcexist of a missing key fails" fails memcexist $how --servers="$server" missing
try "memctouch" runs memctouch $how --servers="$server" --expire=1000 small
try "memctouch of a missing key fails" fails memctouch $how --servers="$server" --expire=1000 missing
try "memcrm" runs memcrm $how --servers="$server" small
try "memccat of a removed key fails" fails memccat $how --servers="$server" small
try "memcstat" shows 'curr_items' memcstat $how --servers="$server"
try "memcstat --server-version" shows '1\.6\.' memcstat $how --servers="$server" --server-version
try "memcstat settings" shows '1' memcstat $how --servers="$server" --args=settings
try "memcslap set" runs memcslap $how --servers="$server" --test=set --concurrency=4 --execute-number=2000 --flush
try "memcslap get" runs memcslap $how --servers="$server" --test=get --concurrency=4 --execute-number=2000 --initial-load=2000
try "memcslap mget" runs memcslap $how --servers="$server" --test=mget --concurrency=2 --execute-number=500 --initial-load=500
try "memcdump" shows '^dumped$' bash -c "memccp $how --servers=$server --set $folder/dumped && memcdump --servers=$server"
sizes() { # files of ten sizes, from every part of the table of classes
    mkdir "$folder/sizes"
    for number in $(seq 100 299); do
        local bytes=(1 40 150 400 900 2000 4100 9000 16000 120000)
        head -c "${bytes[number % 10]}" /dev/zero > "$folder/sizes/key-$number"
    done
}
sizes
runs memcflush $how --servers="$server"
try "memccp of many files" runs memccp $how --servers="$server" --set "$folder"/sizes/*
ls "$folder/sizes" > "$folder/names"
try "memcdump lists the keys of all sizes" same "$folder/names" bash -c "memcdump --servers=$server | sort"
if command -v memcaslap > /dev/null; then
    try "memcaslap" runs memcaslap $how --servers="$server" --threads=2 --concurrency=8 --time=3s --verify=1.0
fi
exit $failed
