//! Certificates: those of clients, new ones of the server's, and sessions that are resumed.

use crate::certificates::{Authority, Encrypted, Pair, VERSIONS, write};
use crate::client::Client;
use crate::server::{Directory, Server, wait_for};
use rustls::HandshakeKind;
use std::fs;

/// Whether a client that shows `pair` is served.
fn is_served(encrypted: &Encrypted, version: usize, pair: Option<&Pair>) -> bool {
    let config = encrypted.authority.config(&[VERSIONS[version]], pair);
    let Some(mut client) = Client::try_connect_tls(encrypted.server.address(), &config) else { return false };
    // With TLS 1.3 the client is through before the server has looked at its certificate.
    client.try_send("mn\r\n") && client.read_some() == b"MN\r\n"
}

#[test]
fn a_client_shows_a_good_certificate_where_one_is_wanted() {
    for (mode, wants) in [("0", false), ("1", false), ("2", true), ("3", true)] {
        let encrypted = Encrypted::start(&["-o", &format!("ssl_verify_mode={mode}")]);
        let (good, expired) = (encrypted.authority.sign(), encrypted.authority.sign_expired());
        let foreign = Authority::new("somebody else").sign();
        for version in 0..2 {
            assert!(is_served(&encrypted, version, Some(&good)), "mode {mode}");
            assert_eq!(is_served(&encrypted, version, None), !wants, "mode {mode}");
            for bad in [&foreign, &expired] {
                assert_eq!(is_served(&encrypted, version, Some(bad)), mode == "0", "mode {mode}");
            }
        }
    }
}

#[test]
fn resuming_clients_are_served_with_and_without_the_cache() {
    for (options, resumed) in [("ssl_verify_mode=2", false), ("ssl_verify_mode=2,ssl_session_cache", true)] {
        let encrypted = Encrypted::start(&["-o", options]);
        for version in VERSIONS {
            let pair = encrypted.authority.sign();
            let config = encrypted.authority.config(&[version], Some(&pair));
            let mut kinds = Vec::new();
            for _ in 0..3 {
                let mut client = Client::connect_tls(encrypted.server.address(), &config);
                // Tickets of TLS 1.3 come behind the handshake.
                client.expect_missing("a");
                kinds.push(client.session().handshake_kind() == Some(HandshakeKind::Resumed));
            }
            assert_eq!(kinds, [false, resumed, resumed], "{options}, {version:?}");
        }
        let mut client = Client::connect_tls(
            encrypted.server.address(),
            &encrypted.authority.config(&VERSIONS, Some(&encrypted.authority.sign())),
        );
        if resumed {
            assert_eq!(client.stat("ssl_new_sessions"), 3);
        }
        assert_eq!(client.stat("ssl_handshake_errors"), 0);
    }
}

#[test]
fn a_session_without_a_certificate_cannot_be_resumed_where_one_is_wanted() {
    let list = "btls:127.0.0.1:0,mtls:127.0.0.1:0";
    let encrypted = Encrypted::start_listening(&["-l", list, "-o", "ssl_session_cache"]);
    let address = |n: usize| ([127, 0, 0, 1], encrypted.server.ports()[n].1).into();
    for version in VERSIONS {
        let config = encrypted.authority.config(&[version], None);
        Client::connect_tls(address(0), &config).expect_missing("a");
        let Some(mut client) = Client::try_connect_tls(address(1), &config) else { continue };
        client.try_send("mn\r\n");
        client.expect_closed();
    }
}

#[test]
fn where_nobody_may_sign_no_certificate_is_good() {
    let (authority, directory) = (Authority::new("authority"), Directory::new());
    write(&directory, &authority.sign());
    let list = format!("ssl_chain_cert={},ssl_key={}", directory.text("chain"), directory.text("key"));
    for (mode, unshown) in [("1", true), ("2", false)] {
        let options = format!("{list},ssl_verify_mode={mode}");
        let server = Server::start(&["-Z", "-o", &options]);
        assert!(server.log().contains("no ssl_ca_cert"), "{}", server.log());
        for (pair, is_good) in [(None, unshown), (Some(authority.sign()), false)] {
            let config = authority.config(&VERSIONS, pair.as_ref());
            let mut client = Client::connect_tls(server.address(), &config);
            assert_eq!(client.try_send("mn\r\n") && client.read_some() == b"MN\r\n", is_good, "mode {mode}");
        }
    }
}

/// The certificate that new clients see.
fn shown(encrypted: &Encrypted) -> Vec<u8> {
    let mut client = encrypted.client();
    client.session().peer_certificates().expect("the server shows one")[0].to_vec()
}

#[test]
fn new_files_are_for_new_clients_and_broken_ones_for_nobody() {
    let encrypted = Encrypted::start(&[]);
    let (mut old, first) = (encrypted.client(), shown(&encrypted));
    old.set("a", "1");
    write(&encrypted.directory, &encrypted.authority.sign());
    assert!(shown(&encrypted) == first, "nobody has said that the files are new");
    old.ask("refresh_certs\r\n", "OK\r\n");
    let second = shown(&encrypted);
    assert!(second != first);
    old.expect_value("a", "1");
    fs::write(encrypted.directory.join("key"), "broken").expect("the file can be written");
    let line = old.ask_line("refresh_certs\r\n");
    assert!(line.starts_with("Error loading the key: ") && line.ends_with("there is no private key in it"), "{line}");
    old.expect_silence();
    let other = encrypted.authority.sign();
    fs::write(encrypted.directory.join("key"), &other.key).expect("the file can be written");
    let line = old.ask_line("refresh_certs\r\n");
    assert!(line.starts_with("Error validating the certificate: "), "{line}");
    assert!(shown(&encrypted) == second);
    write(&encrypted.directory, &other);
    encrypted.server.signal("HUP");
    wait_for("SIGHUP is heard", || (shown(&encrypted) != second).then_some(()));
    fs::remove_file(encrypted.directory.join("chain")).expect("it is there");
    encrypted.server.signal("HUP");
    wait_for("it is told", || {
        encrypted.server.log().contains("the old certificates stay: Error loading").then_some(())
    });
    old.expect_value("a", "1");
    encrypted.client().expect_value("a", "1");
}

#[test]
fn the_age_of_the_certificates_is_told() {
    let encrypted = Encrypted::start(&[]);
    let mut client = encrypted.client();
    wait_for("a second goes by", || (client.stat("time_since_server_cert_refresh") >= 2).then_some(()));
    client.ask("refresh_certs\r\n", "OK\r\n");
    assert!(client.stat("time_since_server_cert_refresh") <= 1);
}
