//! The crate `memcache` over the binary protocol: its surface against the server at the first argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use memcache::{Client, CommandError, MemcacheError};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn check(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(what.into()) }
}

fn storing(c: &Client) -> Outcome {
    c.set("a", "1", 100)?;
    check(c.get::<String>("a")?.as_deref() == Some("1"), "set and get")?;
    let added = c.add("a", "2", 100);
    check(matches!(added, Err(MemcacheError::CommandError(CommandError::KeyExists))), "add of a key that is there")?;
    c.replace("a", "3", 100)?;
    let replaced = c.replace("missing", "x", 100);
    check(matches!(replaced, Err(MemcacheError::CommandError(CommandError::KeyNotFound))), "replace of a missing key")?;
    c.append("a", "4")?;
    c.prepend("a", "2")?;
    check(c.get::<String>("a")?.as_deref() == Some("234"), "append and prepend")?;
    check(c.get::<String>("missing")?.is_none(), "a missing key")?;
    check(c.delete("a")? && !c.delete("a")?, "delete")
}

fn compare_and_swap(c: &Client) -> Outcome {
    c.set("a", "1", 100)?;
    let (_, _, cas) = c.gets::<(Vec<u8>, u32, Option<u64>)>(&["a"])?.remove("a").ok_or("gets")?;
    let cas = cas.ok_or("a version")?;
    check(c.cas("a", "2", 100, cas)? && !c.cas("a", "3", 100, cas)?, "cas")?;
    check(c.get::<String>("a")?.as_deref() == Some("2"), "what cas stored")
}

fn many(c: &Client) -> Outcome {
    let keys: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    for key in &keys {
        c.set(key, key.as_str(), 100)?;
    }
    let mut asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    asked.push("missing");
    let found: HashMap<String, String> = c.gets(&asked)?;
    check(found.len() == 200 && found["m17"] == "m17", "gets")
}

fn counting(c: &Client) -> Outcome {
    c.set("n", 10, 100)?;
    check(c.increment("n", 5)? == 15 && c.decrement("n", 6)? == 9 && c.decrement("n", 100)? == 0, "counting")
}

fn expiring(c: &Client) -> Outcome {
    c.set("t", "x", 1)?;
    c.set("u", "x", 1)?;
    check(c.touch("u", 100)? && !c.touch("missing", 1)?, "touch")?;
    let end = Instant::now() + Duration::from_secs(5);
    while c.get::<String>("t")?.is_some() {
        check(Instant::now() < end, "does not expire")?;
    }
    check(c.get::<String>("u")?.is_some(), "a touched key")
}

fn values(c: &Client) -> Outcome {
    for len in [0, 1, 16_384, 16_385, 900_000] {
        let value = vec![b'\r'; len];
        c.set("big", &value[..], 100)?;
        check(c.get::<Vec<u8>>("big")? == Some(value), "a value comes back")?;
    }
    check(c.set("big", &vec![0; 1_100_000][..], 100).is_err(), "a value too large")?;
    c.set(&"k".repeat(250), "y", 100)?;
    check(c.get::<String>(&"k".repeat(250))?.is_some(), "a long key")
}

fn administration(c: &Client) -> Outcome {
    check(c.version()?.iter().all(|(_, version)| version.starts_with("1.6.")), "version")?;
    check(c.stats()?.iter().all(|(_, stats)| stats.contains_key("pid")), "stats")?;
    c.set("a", "1", 100)?;
    c.flush()?;
    check(c.get::<String>("a")?.is_none(), "flush")
}

fn main() {
    let address = std::env::args().nth(1).expect("an address");
    let tests: [(&str, fn(&Client) -> Outcome); 7] = [
        ("storing", storing),
        ("compare and swap", compare_and_swap),
        ("many", many),
        ("counting", counting),
        ("expiring", expiring),
        ("values", values),
        ("administration", administration),
    ];
    let mut failed = 0;
    for (name, test) in tests {
        let client = memcache::connect(format!("memcache://{address}?protocol=binary")).expect("the server is there");
        match test(&client) {
            Ok(()) => println!("ok crate memcache: {name}"),
            Err(reason) => {
                failed = 1;
                println!("FAIL crate memcache: {name}: {reason}");
            }
        }
    }
    std::process::exit(failed);
}
