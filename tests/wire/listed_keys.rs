//! Keys of any bytes in lists: no key makes a line of its own, or a word, or moves a terminal's cursor.

use crate::client::Client;
use crate::server::Server;

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| word << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = usize::try_from(word >> (18 - 6 * at) & 63).expect("six bits");
            text.push(if at <= three.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

/// A key for every byte, and one that tries to be lines.
fn keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![b'k', byte, b'k']).collect();
    keys.push(b"k\r\nEND\r\nSTAT evil 1\r\n\x1b[31m".to_vec());
    keys
}

/// The lines up to and with the last one, each with one word of the first kind at its beginning.
#[track_caller]
fn lines(client: &mut Client, request: &str, first: &str, end: &str) -> usize {
    client.send(request);
    let mut count = 0;
    loop {
        let line = client.line();
        if line == end {
            return count;
        }
        if line == "OK" && count == 0 {
            continue;
        }
        assert!(line.starts_with(first), "{request:?} gave {line:?}");
        assert!(!line.bytes().any(|byte| byte.is_ascii_control()), "{request:?} gave {line:?}");
        count += 1;
    }
}

#[test]
fn no_key_makes_a_line() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut watcher = server.client();
    watcher.ask("watch fetchers mutations evictions deletions rawcmds\r\n", "OK\r\n");
    for key in keys() {
        client.ask(format!("ms {} 2 b\r\nab\r\n", base64(&key)), "HD\r\n");
        client.ask(format!("mg {} b k v\r\n", base64(&key)), format!("VA 2 k{} b\r\nab\r\n", base64(&key)));
        let line = client.ask_line(format!("me {} b\r\n", base64(&key)));
        assert!(line.starts_with(&format!("ME {} exp=", base64(&key))), "{line:?}");
    }
    let count = keys().len();
    assert_eq!(lines(&mut client, "lru_crawler metadump all\r\n", "key=k", "END"), count);
    assert_eq!(lines(&mut client, "lru_crawler mgdump all\r\n", "mg ", "EN"), count);
    let shown: usize =
        (1..=20).map(|class| lines(&mut client, &format!("stats cachedump {class} 0\r\n"), "ITEM k", "END")).sum();
    assert_eq!(shown, 256 - 34, "all but those with a control character or a space");
    assert_eq!(lines(&mut client, "stats detail dump\r\n", "PREFIX ", "END"), 0);
    client.ask("delete last\r\n", "NOT_FOUND\r\n");
    client.set("last", "v");
    loop {
        let line = watcher.line();
        let known =
            ["type=item_get ", "type=item_store ", "type=deleted ", " <"].iter().any(|kind| line.contains(kind));
        assert!(line.starts_with("ts=") && known && !line.bytes().any(|byte| byte.is_ascii_control()), "{line:?}");
        if line.contains("key=last") {
            break;
        }
    }
    client.expect_silence();
}
