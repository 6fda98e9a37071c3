#!/bin/bash
# What an installation brings: the man page renders, the unit is one, completions load in their shells, and the package
# installs, serves, does not touch memcached, and leaves nothing when it is purged.
#
#   installed.sh FLAGSTONE FOLDER    the server's program, and a folder of its own for the package and its root
#
# Needs man-db, groff-base, systemd, bash-completion, zsh, fish, debootstrap and cargo-deb; root or sudo for the package.
set -uo pipefail

program=$(realpath "$1")
place=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
packaging=$root/src/packaging
mkdir -p "$place"
sudo=()
[[ $EUID -eq 0 ]] || sudo=(sudo)

check() { # check NAME COMMAND...: it succeeds
    local name=$1
    shift
    if "$@" > "$place/said" 2>&1; then
        echo "ok $name"
    else
        echo "FAIL $name: $(tail -n 3 "$place/said" | tr '\n' ' ')"
    fi
}

silent() { # succeeds and says nothing
    local said
    said=$("$@" 2>&1 > /dev/null) && [[ -z $said ]] || { echo "$said"; return 1; }
}

same() { # same FILE KIND FLAGS...: the packaged file is what is generated
    local file=$1 kind=$2
    shift 2
    "$program" "--generate=$kind" "$@" | cmp - "$packaging/$file"
}

unit_is_one() { # with the program where it is, which the package has yet to install
    sed "s#/usr/bin/flagstone#$program#" "$packaging/flagstone.service" > "$place/flagstone.service"
    silent systemd-analyze verify --man=no "$place/flagstone.service"
}

in_bash() {
    bash --norc -c '. "$1" && COMP_WORDS=(flagstone --mem) COMP_CWORD=1 && _flagstone flagstone --mem flagstone &&
        [[ ${COMPREPLY[*]} == "--memory-limit --memory-file" ]]' - "$packaging/flagstone.bash"
}

in_zsh() {
    zsh -f -c 'fpath=("$1" $fpath) && autoload -Uz compinit && compinit -D -u && [[ $_comps[flagstone] == _flagstone ]] &&
        autoload +X _flagstone' - "$packaging"
}

in_fish() {
    fish --no-config -c 'source $argv[1]; complete -C "flagstone --mem" | string match -q -- "--memory-limit*"' \
        "$packaging/flagstone.fish"
}

debian_file_works() { # what Debian's memcached package installs, unchanged but for ports and pid file
    local file=/usr/share/memcached/memcached.conf.default ports=$place/ports status=0
    rm -f "$ports"
    MEMCACHED_PORT_FILENAME=$ports "$program" --config="$file" -u "$(id -un)" -p -1 -P "$place/pid" &
    local server=$!
    for _ in $(seq 100); do
        [[ -s $ports ]] && break
        sleep 0.1
    done
    [[ $(sed -n 's/^TCP INET: //p' "$ports") -gt 0 ]] || status=1
    kill "$server"
    wait "$server" || status=1
    return $status
}

package() { # makes it, and a small Debian to install it in; both are kept for the next run
    # With the program that is tested, whichever it is.
    mkdir -p "$place/target/release" && cp "$program" "$place/target/release/flagstone" || return 1
    (cd "$root" && CARGO_TARGET_DIR=$place/target cargo deb --no-build --output "$place/flagstone.deb") || return 1
    if [[ ! -e $place/debian/.made ]]; then
        "${sudo[@]}" rm -rf "$place/debian" &&
            "${sudo[@]}" debootstrap --variant=minbase bookworm "$place/debian" &&
            "${sudo[@]}" touch "$place/debian/.made"
    fi
}

inside() { "${sudo[@]}" chroot "$place/debian" "$@"; }

# Names and lines that tell of an installation: files anywhere, users and groups.
traces() {
    "${sudo[@]}" find "$place/debian" -xdev -path "$place/debian/var/lib/dpkg" -prune -o -name '*flagstone*' -print
    "${sudo[@]}" grep -H flagstone "$place/debian/etc/passwd" "$place/debian/etc/group" "$place/debian/etc/shadow"
}

install_package() {
    "${sudo[@]}" cp "$place/flagstone.deb" "$place/debian/tmp/package.deb" && inside dpkg -i /tmp/package.deb
}

serves_from_it() { # the installed program with the installed file of flags, as its user, on a port of the kernel's
    local status=0
    inside sh -c 'rm -rf /tmp/run && mkdir /tmp/run && chown flagstone /tmp/run
        MEMCACHED_PORT_FILENAME=/tmp/run/ports /usr/bin/flagstone --config=/etc/flagstone.conf -u flagstone -p -1 -l 127.0.0.1 &
        server=$!
        for _ in $(seq 100); do [ -s /tmp/run/ports ] && break; sleep 0.1; done
        port=$(sed -n "s/^TCP INET: //p" /tmp/run/ports)
        perl -MIO::Socket::INET -e '\''
            my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]") or die;
            print $s "set a 0 0 1\r\n1\r\nget a\r\n"; my @l = map { scalar <$s> } 1..4;
            exit(join("", @l) eq "STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n" ? 0 : 1);'\'' "$port"
        status=$?
        [ "$(stat -c %U /tmp/run/ports)" = flagstone ] || status=1
        kill $server; wait $server; exit $status' || status=1
    return $status
}

leaves_memcached_alone() { # nothing is enabled, and no file of it is one of memcached's
    ! "${sudo[@]}" test -e "$place/debian/etc/systemd/system/multi-user.target.wants/flagstone.service" &&
        ! dpkg-deb -c "$place/flagstone.deb" | grep -i memcached
}

purge_leaves_nothing() {
    [[ -n $(traces) ]] && inside dpkg --purge flagstone && "${sudo[@]}" rm -rf "$place/debian/tmp/run" &&
        "${sudo[@]}" rm -f "$place/debian/tmp/package.deb" && [[ -z $(traces) ]]
}

check "the man page is what is generated" same flagstone.1 man
check "the man page renders without a warning" silent env LC_ALL=C.UTF-8 man --warnings -l "$packaging/flagstone.1"
check "bash's completion is what is generated" same flagstone.bash bash
check "bash loads and completes" in_bash
check "zsh's completion is what is generated" same _flagstone zsh
check "zsh loads it" in_zsh
check "fish's completion is what is generated" same flagstone.fish fish
check "fish loads and completes" in_fish
check "the unit is what is generated" same flagstone.service systemd --config=/etc/flagstone.conf
check "the unit passes systemd-analyze verify" unit_is_one
check "the file of flags is what is generated" same flagstone.conf memcached.conf -m 64 -p 11211 -l '127.0.0.1,[::1]'
check "Debian's memcached.conf works unchanged" debian_file_works
check "the package is made, and a Debian for it" package
check "the package installs" install_package
check "it serves as its user from there" serves_from_it
check "it leaves memcached alone" leaves_memcached_alone
check "it installs over itself" install_package
check "purge leaves nothing" purge_leaves_nothing
