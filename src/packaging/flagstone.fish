complete -c flagstone -s p -l port -d 'TCP port to listen on (default: 11211; 0: none, -1: the kernel picks)' -r -f
complete -c flagstone -s U -l udp-port -d 'UDP port to listen on (default: 0, off)' -r -f
complete -c flagstone -s s -l unix-socket -d 'UNIX socket to listen on (disables network support)' -r -F
complete -c flagstone -s a -l unix-mask -d 'access mask for UNIX socket, in octal (default: 700)' -r -f
complete -c flagstone -s l -l listen -d 'interface to listen on (default: all); host, host:port, [IPv6]:port or unix:<file>[:<mode>], several with commas or by repeating the flag; proto[ascii]: before it: text only' -r -f
complete -c flagstone -s u -l user -d 'assume identity of <username> (only when run as root)' -r -f -a "(__fish_complete_users)"
complete -c flagstone -s m -l memory-limit -d 'memory for items, index and eviction in megabytes (default: 64), or <num>% of the control group\'s limit or the machine\'s memory' -r -f
complete -c flagstone -s c -l conn-limit -d 'max simultaneous connections (default: 1024)' -r -f
complete -c flagstone -s P -l pidfile -d 'save PID in <file>, removed at exit only with -d' -r -F
complete -c flagstone -s f -l slab-growth-factor -d 'chunk size growth factor (default: finer than memcached\'s 1.25)' -r -f
complete -c flagstone -s n -l slab-min-size -d 'min space used for key+value+flags (default: as small as an item gets)' -r -f
complete -c flagstone -s D -d 'use <char> as the delimiter between key prefixes and IDs for stats reporting; switches "stats detail" on (default delimiter: :)' -r -f
complete -c flagstone -s t -l threads -d 'number of threads to use (default: 4)' -r -f
complete -c flagstone -s R -l max-reqs-per-event -d 'maximum number of requests per event, limits the requests processed per connection to prevent starvation (default: 20)' -r -f
complete -c flagstone -s b -l listen-backlog -d 'set the backlog queue limit (default: 1024)' -r -f
complete -c flagstone -s B -l protocol -d 'protocol - ascii, binary, or auto (default: auto)' -r -f -a "auto\t''
ascii\t''
binary\t''"
complete -c flagstone -s I -l max-item-size -d 'adjusts max item size (default: 1m, min: 1k, max: 1024m, at most half of -m)' -r -f
complete -c flagstone -s Y -l auth-file -d 'clients must show a token of this file first; its lines: user:password' -r -F
complete -c flagstone -s e -l memory-file -d 'keep items in this file, on tmpfs, across restarts and crashes' -r -F
complete -c flagstone -l takeover -d 'take clients and items over from the server that has this socket, and hand them on to the next one that asks there' -r -F
complete -c flagstone -s N -l napi_ids -d 'accepted, without effect' -r -f
complete -c flagstone -l config -d 'flags from this file, one a line, as in Debian\'s /etc/memcached.conf; those of the command line beat them' -r -F
complete -c flagstone -l check -d 'ask the server at host:port or unix:<file> whether it serves; exit 0 or 1' -r -f
complete -c flagstone -l generate -d 'print man, bash, zsh, fish, systemd or memcached.conf and exit' -r -f -a "man\t''
bash\t''
zsh\t''
fish\t''
systemd\t''
memcached.conf\t''"
complete -c flagstone -l log-format -d 'lines of the log: text (default) or json, an object a line' -r -f -a "text\t''
json\t''"
complete -c flagstone -s o -l extended -d 'comma separated list of extended options' -r -f
complete -c flagstone -s A -l enable-shutdown -d 'enable ascii "shutdown" command'
complete -c flagstone -s d -l daemon -d 'run as a daemon'
complete -c flagstone -s r -l enable-coredumps -d 'maximize core file limit'
complete -c flagstone -s M -l disable-evictions -d 'return error on memory exhausted instead of evicting'
complete -c flagstone -s k -l lock-memory -d 'lock down all paged memory'
complete -c flagstone -s v -l verbose -d 'verbose (what the server does; RUST_LOG is heeded too); -vv: very verbose (what single connections do); -vvv: extremely verbose'
complete -c flagstone -s h -l help -d 'print this help and exit'
complete -c flagstone -s i -l license -d 'print the license and exit'
complete -c flagstone -s V -l version -d 'print version and exit'
complete -c flagstone -s L -l enable-largepages -d 'try to use large memory pages (if available)'
complete -c flagstone -s C -l disable-cas -d 'disable use of CAS'
complete -c flagstone -s F -l disable-flush-all -d 'disable flush_all command'
complete -c flagstone -s X -l disable-dumping -d 'disable commands that list keys'
complete -c flagstone -s W -l disable-watch -d 'disable watch commands (live logging)'
complete -c flagstone -s S -l enable-sasl -d 'clients must show a password by SASL; needs the file that MEMCACHED_SASL_PWDB names, or Cyrus SASL'
complete -c flagstone -s Z -l enable-ssl -d 'enable TLS/SSL on TCP listeners; -l notls:<addr> leaves one plain, btls: asks for no client certificate, mtls: requires one'
