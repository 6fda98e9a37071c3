//! The `flagstone` program.

fn main() {
    let mut signals = flagstone::server::signals::Signals::catch().expect("descriptors");
    let port = std::env::args().nth(2).and_then(|p| p.parse().ok()).unwrap_or(11211);
    let endpoints = vec![flagstone::net::Endpoint::Tcp {
        host: Some("127.0.0.1".to_owned()),
        port: flagstone::net::Port::Number(port),
    }];
    let options = flagstone::server::Options {
        net: flagstone::net::Options { endpoints, backlog: 1024, socket_mark: 0 },
        store: flagstone::store::Options::default(),
        limits: flagstone::server::Limits { connections_max: 1024, refuse_fast: true },
        workers: 4,
    };
    let running = flagstone::server::Server::open(options).expect("open").start().expect("start");
    println!("{:?}", signals.wait());
    running.stop();
}
