//! Where commands begin and end: cuts, line ends, lines too short, too long or not ours, pipelines.

use crate::client::Client;
use crate::server::Server;

const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format\r\n";

/// Command streams, and their replies on a server whose keys k and n were deleted before.
const STREAMS: &[(&str, &str)] = &[
    (
        "set k 5 0 10\r\n0123456789\r\nget k\r\ngets nosuch\r\nget nosuch k k\r\n",
        "STORED\r\nVALUE k 5 10\r\n0123456789\r\nEND\r\nEND\r\n\
         VALUE k 5 10\r\n0123456789\r\nVALUE k 5 10\r\n0123456789\r\nEND\r\n",
    ),
    (
        "add k 0 0 2\r\nbb\r\nadd k 0 0 1\r\nx\r\nappend k 0 0 1\r\nc\r\nprepend k 0 0 1 noreply\r\na\r\n\
         replace n 0 0 0\r\n\r\ncas n 0 0 1 5\r\nx\r\ncas k 0 0 1 0\r\nx\r\ngat 0 k\r\n",
        "STORED\r\nNOT_STORED\r\nSTORED\r\nNOT_STORED\r\nNOT_FOUND\r\nEXISTS\r\n\
         VALUE k 0 4\r\nabbc\r\nEND\r\n",
    ),
    (
        "set n 0 0 2 noreply\r\n98\r\nincr n 1\r\nincr n 1\r\ndecr n 50\r\nincr n x\r\ntouch n 100\r\n\
         get n\r\ndelete n\r\ndelete n\r\nverbosity 0\r\n",
        "99\r\n100\r\n50\r\nCLIENT_ERROR invalid numeric delta argument\r\nTOUCHED\r\n\
         VALUE n 0 3\r\n50 \r\nEND\r\nDELETED\r\nNOT_FOUND\r\nOK\r\n",
    ),
    (
        "set k 0 0 3\r\nabcdeWRONG\r\nset k 0 x 7\r\nversion\r\nset k 0 0 x\r\nnonsense\r\n\r\n\
         set k 0 0 4\nget \r\nget k\n",
        "CLIENT_ERROR bad data chunk\r\nERROR\r\nCLIENT_ERROR bad command line format\r\n\
         CLIENT_ERROR bad command line format\r\nERROR\r\n\
         CLIENT_ERROR bad command line format\r\nSTORED\r\nVALUE k 0 4\r\nget \r\nEND\r\n",
    ),
];

/// Removes what the streams store.
const CLEAN: &str = "delete k noreply\r\ndelete n noreply\r\n";

/// Sends the head, and the rest when the server has read all of the head: not in one read.
#[track_caller]
fn send_cut(client: &mut Client, stream: &[u8], cut: usize) {
    client.send([CLEAN.as_bytes(), &stream[..cut]].concat());
    client.wait_until_read();
    client.send(&stream[cut..]);
}

#[test]
fn a_stream_cut_at_any_byte_gives_the_same_replies() {
    let server = Server::start(&[]);
    for (stream, replies) in STREAMS {
        let mut client = server.client();
        for cut in 0..=stream.len() {
            send_cut(&mut client, stream.as_bytes(), cut);
            client.expect(replies);
        }
        client.expect_silence();
    }
}

#[test]
fn too_large_data_cut_at_any_byte_is_swallowed_whole() {
    let server = Server::start(&["-I", "1024", "-o", "slab_chunk_max=1"]);
    let mut client = server.client();
    let data = "version\r\n".repeat(130);
    let stream = format!("set k 0 0 {}\r\n{data}\r\nget k\r\n", data.len());
    let edges = (0..40).chain(stream.len() - 20..=stream.len()).chain((40..stream.len()).step_by(97));
    for cut in edges {
        send_cut(&mut client, stream.as_bytes(), cut);
        client.expect("SERVER_ERROR object too large for cache\r\nEND\r\n");
    }
}

#[test]
fn a_large_value_cut_anywhere_arrives_whole() {
    let server = Server::start(&["-m", "16"]);
    let mut client = server.client();
    let value = crate::client::pattern(7, 70_000);
    let stream = crate::client::set_bytes("k", &value);
    let head = stream.len() - value.len() - 2;
    let places = [head - 2, head - 1, head, head + 1, head + 16_384, head + 65_536];
    for cut in places.into_iter().chain(stream.len() - 3..stream.len()) {
        send_cut(&mut client, &stream, cut);
        client.expect("STORED\r\n");
        client.expect_value("k", &value);
    }
}

#[test]
fn a_stream_sent_byte_by_byte_gives_the_same_replies() {
    let server = Server::start(&[]);
    for (stream, replies) in STREAMS {
        let mut client = server.client();
        send_cut(&mut client, stream.as_bytes(), 0);
        client.expect(replies);
        client.send(CLEAN);
        for byte in stream.bytes() {
            client.send([byte]);
        }
        client.expect(replies);
    }
}

#[test]
fn ten_thousand_pipelined_commands_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let mut request = String::new();
    let mut reply = String::new();
    for number in 0..2500 {
        request += &format!("set k{number} 0 0 5\r\n{number:05}\r\nget k{number}\r\n");
        reply += &format!("STORED\r\nVALUE k{number} 0 5\r\n{number:05}\r\nEND\r\n");
        request += &format!("incr k{number} 1\r\nnonsense\r\n");
        reply += &format!("{}\r\nERROR\r\n", number + 1);
    }
    client.ask_much(request.as_bytes(), reply);
    client.expect_silence();
}

#[test]
fn a_bare_line_feed_ends_a_command_but_not_a_value() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("set a 0 0 1\nx\r\n", "STORED\r\n");
    client.ask("get a\n", "VALUE a 0 1\r\nx\r\nEND\r\n");
    client.ask("delete a\ndelete a\r\n", "DELETED\r\nNOT_FOUND\r\n");
    client.ask("set a 0 0 1\r\nx\nWRONG\n\r\n", "CLIENT_ERROR bad data chunk\r\n");
    client.expect_line_of_errors();
}

#[test]
fn a_leading_space_is_an_error() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask(" get a\r\n", "ERROR\r\n");
    client.ask("    version\r\n", "ERROR\r\n");
    client.expect_silence();
}

#[test]
fn a_line_under_four_bytes_is_a_bad_format() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["\r\n", "\n", "a\r\n", "ab\n", "a\n", "mn\n"] {
        client.ask(line, BAD_FORMAT);
    }
    client.ask("ab\r\n", "ERROR\r\n");
    client.ask("abc\n", "ERROR\r\n");
    client.expect_silence();
}

#[test]
fn unknown_commands_are_errors_and_names_are_lower_case() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for line in ["nonsense", "GET a", "Set a 0 0 1", "getx a", "ge a", "get_a", "\u{1}\u{2}\u{3}\u{4}"] {
        client.ask(format!("{line}\r\n"), "ERROR\r\n");
    }
    client.expect_silence();
}

#[test]
fn a_line_without_end_over_2048_bytes_closes_the_connection() {
    let server = Server::start(&[]);
    let mut other = server.client();
    for start in ["x", "set ", "delete ", "getx "] {
        let mut client = server.client();
        client.send(start.to_owned() + &"x".repeat(4096));
        client.expect_closed();
    }
    other.expect_silence();
}

#[test]
fn a_line_below_2048_bytes_may_wait_for_its_end() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let line = "x".repeat(2000);
    send_cut(&mut client, line.as_bytes(), line.len());
    client.ask("\r\n", "ERROR\r\n");
    client.expect_silence();
}

#[test]
fn an_http_request_closes_the_connection() {
    let server = Server::start(&[]);
    let mut other = server.client();
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /x HTTP/1.0\r\n", "GET  /  HTTP/\n"] {
        let mut client = server.client();
        client.try_send(request);
        client.expect_closed();
    }
    other.expect_silence();
}

#[test]
fn where_all_is_text_a_binary_request_is_a_line() {
    let server = Server::start(&["-B", "ascii"]);
    let mut client = server.client();
    // A binary get of the key k, and the same at the start of a line.
    let request = b"\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0k";
    for _ in 0..2 {
        client.send(request);
        client.wait_until_read();
        client.ask("\r\n", "ERROR\r\n");
    }
    client.expect_silence();
    // The bounds are those of any line.
    client.ask([&[0x80; 3000][..], b"\r\n"].concat(), "ERROR\r\n");
    client.send([0x80; 2048]);
    client.wait_until_read();
    client.ask("\r\n", "ERROR\r\n");
    client.try_send([0x80; 2049]);
    client.expect_closed();
}

#[test]
fn all_is_answered_before_the_end_of_input_closes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("set a 0 0 1\r\nx\r\nget a\r\nget half");
    assert!(client.finish_sending(), "our direction can be ended");
    client.expect("STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    client.expect_closed();
}

impl Client {
    /// What is left of a bad chunk reads as commands: one unknown, one too short.
    #[track_caller]
    fn expect_line_of_errors(&mut self) {
        self.expect("ERROR\r\n");
        self.expect(BAD_FORMAT);
        self.expect_silence();
    }
}
