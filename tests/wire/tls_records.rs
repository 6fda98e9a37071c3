//! The records of TLS: cut anywhere, short, long, torn or closed, they end in answers or in the end of that client
//! alone.

use crate::certificates::{Encrypted, VERSIONS};
use crate::client::{Client, pattern, set_bytes, value_bytes};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{CipherSuite, ClientConnection, ConnectionTrafficSecrets};
use std::io::{Read, Write};
use std::sync::Arc;

/// What a session has to say, as bytes of the wire.
fn words(session: &mut ClientConnection) -> Vec<u8> {
    let mut words = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut words).expect("memory takes all");
    }
    words
}

#[test]
fn bytes_that_come_one_by_one_are_put_together() {
    let encrypted = Encrypted::start(&[]);
    for version in VERSIONS {
        let config = encrypted.authority.config(&[version], None);
        let mut socket = Client::connect(encrypted.server.address());
        let name = "localhost".try_into().expect("it is a name");
        let mut session = ClientConnection::new(Arc::clone(&config), name).expect("the configuration is good");
        session.writer().write_all(&set_bytes("a", b"hello")).expect("it is kept");
        session.writer().write_all(b"get a\r\n").expect("it is kept");
        let expected = [b"STORED\r\n", &value_bytes("a", b"hello")[..], b"END\r\n"].concat();
        let mut received = Vec::new();
        while received.len() < expected.len() {
            for byte in words(&mut session) {
                socket.send([byte]);
            }
            if received.len() < expected.len() {
                session.read_tls(socket.socket()).expect("the server answers");
                session.process_new_packets().expect("it speaks TLS");
                // Nothing more to read is no end.
                drop(session.reader().read_to_end(&mut received));
            }
        }
        assert_eq!(received, expected);
    }
}

#[test]
fn a_handshake_message_may_lie_in_many_records() {
    let encrypted = Encrypted::start(&[]);
    let config = encrypted.authority.config(&VERSIONS, None);
    let name = "localhost".try_into().expect("it is a name");
    let mut session = ClientConnection::new(Arc::clone(&config), name).expect("the configuration is good");
    let hello = words(&mut session);
    for size in [1, 2, 100] {
        let mut socket = Client::connect(encrypted.server.address());
        let records = hello[5..].chunks(size).flat_map(|part| {
            let len = u16::try_from(part.len()).expect("it is short").to_be_bytes();
            [&hello[..3], &len, part].concat()
        });
        socket.send(records.collect::<Vec<u8>>());
        assert_eq!(socket.receive(1), [0x16], "the server says hello");
    }
    encrypted.client().expect_silence();
}

#[test]
fn records_of_one_byte_and_of_the_most_are_read() {
    let encrypted = Encrypted::start(&[]);
    let mut client = encrypted.client();
    for byte in b"set a 0 0 5\r\nhello\r\n" {
        client.send([*byte]);
    }
    client.expect("STORED\r\n");
    let value = pattern(5, 500_000);
    client.set("L", &value);
    client.expect_value("L", &value);
    // Many in one segment of TCP.
    let session = client.session();
    for byte in b"get a\r\n".repeat(300) {
        session.writer().write_all(&[byte]).expect("it is kept");
    }
    client.send("");
    client.expect([&value_bytes("a", b"hello")[..], b"END\r\n"].concat().repeat(300));
}

#[test]
fn keys_are_updated_both_ways() {
    let encrypted = Encrypted::start(&[]);
    let mut client = Client::connect_tls(encrypted.server.address(), &encrypted.authority.config(&[VERSIONS[1]], None));
    client.set("a", "1");
    for _ in 0..10 {
        // The server answers with an update of its own, before it says anything else.
        client.session().refresh_traffic_keys().expect("TLS 1.3 has that");
        client.expect_value("a", "1");
    }
    client.session().refresh_traffic_keys().expect("TLS 1.3 has that");
    client.session().refresh_traffic_keys().expect("TLS 1.3 has that");
    client.expect_silence();
}

#[test]
fn what_comes_before_a_farewell_is_answered() {
    let encrypted = Encrypted::start(&[]);
    for version in VERSIONS {
        let config = encrypted.authority.config(&[version], None);
        let mut client = Client::connect_tls(encrypted.server.address(), &config);
        let value = pattern(9, 300_000);
        client.set("L", &value);
        let session = client.session();
        session.writer().write_all(b"get L\r\nget L\r\n").expect("it is kept");
        session.send_close_notify();
        client.send("");
        client.expect([&value_bytes("L", &value)[..], b"END\r\n"].concat().repeat(2));
        client.expect_closed();
    }
    let mut client = encrypted.client();
    client.send("quit\r\n");
    client.expect_closed();
    encrypted.client().expect_stats(&[("ssl_handshake_errors", 0), ("ssl_proto_errors", 0)]);
}

#[test]
fn a_torn_or_forged_record_ends_its_client_alone() {
    let encrypted = Encrypted::start(&[]);
    let mut other = encrypted.client();
    for version in VERSIONS {
        let config = encrypted.authority.config(&[version], None);
        let connect = || {
            let mut client = Client::connect_tls(encrypted.server.address(), &config);
            client.expect_missing("a");
            client
        };
        let mut torn = connect();
        torn.session().writer().write_all(b"get a\r\n").expect("it is kept");
        let record = words(torn.session());
        torn.socket().write_all(&record[..record.len() - 1]).expect("it is taken");
        assert!(torn.finish_sending());
        torn.expect_closed();
        for place in [0, 2, 3, 10] {
            let mut forged = connect();
            forged.session().writer().write_all(b"get a\r\n").expect("it is kept");
            let mut record = words(forged.session());
            record[place] ^= 0x40;
            record.extend_from_slice(&[0; 20_000]);
            forged.socket().write_all(&record).expect("it is taken");
            forged.read_raw_to_end();
        }
        other.expect_missing("a");
    }
    assert_eq!(other.stat("ssl_proto_errors"), 10);
    assert_eq!(other.stat("ssl_handshake_errors"), 0);
}

#[test]
fn who_leaves_in_the_middle_disturbs_nobody() {
    let encrypted = Encrypted::start(&[]);
    let mut other = encrypted.client();
    other.set("L", pattern(1, 900_000));
    for _ in 0..20 {
        let mut reader = encrypted.client();
        reader.send("get L\r\n".repeat(5));
        reader.receive(1000);
        let mut writer = encrypted.client();
        writer.send(&set_bytes("W", &pattern(2, 500_000))[..300_000]);
    }
    other.expect_value("L", pattern(1, 900_000));
    other.expect_missing("W");
    other.expect_silence();
}

/// Keys of a client, to write records with that no library writes.
struct Forger {
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl Forger {
    /// Takes over the client's direction of a session.
    fn of(session: ClientConnection) -> Self {
        let suite = session.negotiated_cipher_suite().expect("agreed").suite();
        assert!(
            [CipherSuite::TLS13_AES_256_GCM_SHA384, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]
                .contains(&suite)
        );
        let secrets = session.dangerous_extract_secrets().expect("it is allowed");
        let (sequence, ConnectionTrafficSecrets::Aes256Gcm { key, iv }) = secrets.tx else { unreachable!("as agreed") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("it has the right length"));
        Self { key, iv: iv.as_ref().to_vec(), sequence }
    }

    /// One of TLS 1.2, where half the nonce stands in it.
    fn older_record(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        let nonce = <[u8; NONCE_LEN]>::try_from([&self.iv[..4], &sequence].concat()).expect("it has the right length");
        let of_plain = u16::try_from(plain.len()).expect("it is short").to_be_bytes();
        let about = [&sequence[..], &[kind, 3, 3], &of_plain].concat();
        let mut sealed = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(about), &mut sealed).expect("it is short");
        let len = u16::try_from(sequence.len() + sealed.len()).expect("it is short").to_be_bytes();
        [&[kind, 3, 3, len[0], len[1]], &sequence[..], &sealed].concat()
    }

    fn record(&mut self, kind: u8, plain: &[u8]) -> Vec<u8> {
        let mut nonce = <[u8; NONCE_LEN]>::try_from(&self.iv[..]).expect("it has the right length");
        for (byte, number) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence += 1;
        let mut inner = [plain, &[kind]].concat();
        let len = u16::try_from(inner.len() + AES_256_GCM.tag_len()).expect("it is short").to_be_bytes();
        let header = [0x17, 3, 3, len[0], len[1]];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(header), &mut inner).expect("it is short");
        [&header[..], &inner].concat()
    }
}

/// The kind of the next record.
fn read_record(socket: &mut impl Read) -> u8 {
    let mut header = [0; 5];
    socket.read_exact(&mut header).expect("it is answered");
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    socket.read_exact(&mut body).expect("it is answered");
    header[0]
}

/// Until it is told so it would wait, and OpenSSL's clients do.
#[test]
fn who_wants_to_shake_hands_again_is_told_no() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let encrypted = Encrypted::start(&[]);
    let mut config = encrypted.authority.config(&[VERSIONS[0]], None);
    Arc::get_mut(&mut config).expect("nobody has it yet").enable_secret_extraction = true;
    let mut client = Client::connect_tls(encrypted.server.address(), &config);
    client.expect_missing("a");
    let (session, mut socket) = client.into_parts();
    let mut forger = Forger::of(session);
    let name = "localhost".try_into().expect("a name");
    let hello = words(&mut ClientConnection::new(config, name).expect("a session"));
    socket.write_all(&forger.older_record(HANDSHAKE, &hello[5..])).expect("it is taken");
    assert_eq!(read_record(&mut socket), ALERT);
    socket.write_all(&forger.older_record(DATA, b"get a\r\n")).expect("it is taken");
    assert_eq!(read_record(&mut socket), DATA);
    // It may ask once, so that nobody keeps the server busy with it.
    socket.write_all(&forger.older_record(HANDSHAKE, &hello[5..])).expect("it is taken");
    assert_eq!(read_record(&mut socket), ALERT);
    socket.read_exact(&mut [0]).expect_err("it is closed");
    assert_eq!(encrypted.client().stat("ssl_proto_errors"), 1);
}

#[test]
fn half_a_handshake_message_behind_a_request_disturbs_no_answer() {
    const HANDSHAKE: u8 = 22;
    const DATA: u8 = 23;
    let encrypted = Encrypted::start(&[]);
    let mut config = encrypted.authority.config(&[VERSIONS[1]], None);
    Arc::get_mut(&mut config).expect("nobody has it yet").enable_secret_extraction = true;
    for half in [&[24][..], &[24, 0, 0], &[24, 0, 0, 1], &[4, 0, 64, 0, 1]] {
        let mut client = Client::connect_tls(encrypted.server.address(), &config);
        client.expect_missing("a");
        let (session, mut socket) = client.into_parts();
        let mut forger = Forger::of(session);
        let mut records = forger.record(DATA, b"get a\r\n");
        records.extend(forger.record(HANDSHAKE, half));
        socket.write_all(&records).expect("it is taken");
        let mut answer = [0; 5 + b"END\r\n".len() + 1 + 16];
        socket.read_exact(&mut answer).expect("the request is answered");
        assert_eq!(answer[0], 0x17);
    }
    encrypted.client().expect_silence();
}
