//! Black-box tests over real sockets, one file per feature; `server` and `client` are the harness.
//! Each test has a server of its own, on ports the kernel picks.
//!
//! `cargo test --test wire` tests the binary built here. To hold the expectations against the
//! original: `FLAGSTONE_TEST_SERVER=/usr/bin/memcached cargo test --test wire`. What fails there
//! fails for these reasons:
//!
//! - 1.6.45: it adds an empty line to the error: `retrieval::a_first_key_too_long_is_a_bad_format`
//! - it drops the values before the error:
//!   `retrieval::a_key_too_long_ends_the_reply_after_the_values_before_it`
//! - it has those options: `commandline::what_is_not_there_yet_is_refused_by_name`,
//!   `commandline::help_promises_nothing_that_does_not_work`
//! - it refuses a list for some time after another, and looks at what follows one only when more comes:
//!   `dumps::a_client_that_leaves_in_a_dump_disturbs_nobody`,
//!   `dumps::a_dump_wants_no_replies_before_it_and_lets_requests_follow`
//! - it lists one queue, which new items reach later: `dumps::a_cachedump_shows_some_items_of_a_class`
//! - it keeps what they ask for until they take it:
//!   `backpressure::readers_too_slow_for_values_that_are_gone_are_closed`,
//!   `backpressure::a_slow_reader_of_values_that_stay_is_left_alone`
//! - it answers the last of several lines that come together: `auth::each_of_several_lines_is_answered`
//! - it says nothing of a broken file: `auth::a_broken_file_leaves_the_old_tokens`
//! - it has no file of passwords, unless it is built with `--enable-sasl-pwdb`: `sasl::*`; its worker waits while one
//!   is judged: `sasl::who_is_judged_waits_and_nobody_else_does`; it takes tokens beside SASL:
//!   `sasl::it_goes_with_packets_over_streams_alone_and_needs_a_way_to_judge`
//! - it reads no key of ring's Ed25519: `tls::both_versions_are_spoken_with_every_kind_of_key`; takes no name of
//!   TLS 1.3: `tls::versions_and_ciphers_are_what_the_options_say`; says other words, or nothing: `tls::a_port_scan_*`,
//!   `tls::settings_*`, `tls::what_cannot_be_*`, `tls_certificates::new_files_*`, `tls_certificates::where_nobody_*`
//! - it waits for a handshake for ever: `tls::a_handshake_that_does_not_end_is_ended`
//! - it ends clients that resume where it asks for certificates, `tls_certificates::resuming_*`,
//!   `tls::a_listener_*`, or lets them in without one: `tls_certificates::a_session_*`
//! - it counts a torn record nowhere: `tls_records::a_torn_*`
//! - it insists on -u, which the harness gives it:
//!   `commandline::root_is_warned_and_served_without_a_user`
//!
//! Debian's 1.6.18 fails these besides; 1.6.45 passes them:
//!
//! - says `ERROR` for lines too short: `*::too_few_words_are_a_bad_format`,
//!   `arithmetic::words_missing_or_a_key_too_long_are_a_bad_format`,
//!   `deletion::a_bad_or_missing_key_is_a_bad_format`, `admin::verbosity_takes_a_number`,
//!   `storage::a_cas_without_a_number_is_refused_and_its_data_swallowed`,
//!   `storage::append_and_prepend_extend_and_keep_the_flags`,
//!   `framing::a_line_under_four_bytes_is_a_bad_format`,
//!   `framing::a_bare_line_feed_ends_a_command_but_not_a_value`
//! - refuses extra words: `storage::extra_words_are_ignored`,
//!   `storage::noreply_is_the_exact_last_word`, `deletion::extra_words_are_ignored`
//! - does not swallow the data: `storage::bad_flags_or_exptime_are_refused_and_the_data_swallowed`,
//!   `storage::a_key_has_at_most_250_bytes`, `framing::a_stream_*`
//! - takes `+1` and the like:
//!   `storage::a_bad_length_is_refused_and_what_follows_is_read_as_commands`
//! - crashes at the first set with -I 1024 and slab_chunk_max=1:
//!   `storage::a_result_too_large_is_not_stored_by_append`,
//!   `storage::noreply_silences_every_reply`,
//!   `storage::too_large_deletes_the_old_value_on_set_alone`
//! - takes exptimes of more than 32 bits or with a tail: `expiry::touch_refuses_bad_arguments`,
//!   `flush::a_bad_delay_is_refused`, `retrieval::gat_refuses_a_bad_exptime`
//! - skips leading spaces: `framing::a_leading_space_is_an_error`
//! - knows fewer words to watch, and takes one of them for none: `watch::*` where `deletions`, the
//!   proxy's words, a wrong word or an HTTP client are watched
//! - other texts, names and units: `admin::shutdown_is_refused_unless_enabled`, `admin::version_*`,
//!   `commandline::version_is_told`, `stats::an_unknown_name_is_an_error`,
//!   `stats::general_lines_*`, `stats::settings_*`
//! - takes shorter lines, other numbers and no password with a space before a token, knows no
//!   token too long, ends with another status: `auth::a_file_*`, `auth::a_short_line_*`,
//!   `auth::a_token_announced_*`, `auth::a_token_lets_in_*`, `auth::a_wrong_token_*`,
//!   `auth::everything_else_*`, `auth::the_announcing_line_*`
//! - checks fewer options: `commandline::a_chunk_size_*`, `commandline::bad_values_*`,
//!   `commandline::numbers_below_one_*`

mod admin;
mod ahead;
mod arithmetic;
mod auth;
mod background;
mod backpressure;
mod binary;
mod binary_framing;
mod binary_stats;
mod certificates;
mod client;
mod commandline;
mod configfile;
mod conns;
mod daemon;
mod deletion;
mod dumps;
mod eviction;
mod expiry;
mod fields;
mod flush;
mod framing;
mod large;
mod limits;
mod listed_keys;
mod listening;
mod logging;
mod measured;
mod meta_get;
mod meta_other;
mod meta_set;
mod meta_win;
mod packets;
mod prefixes;
mod retrieval;
mod robustness;
mod sasl;
mod server;
mod signals;
mod sizes;
mod stats;
mod storage;
mod tls;
mod tls_certificates;
mod tls_records;
mod udp;
mod watch;
