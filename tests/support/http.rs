//! An endpoint's client that can be as wrong as it likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use process_agent::admin::verdict::{Policy, Rules};
use process_agent::admin::{Admin, Health, Limits, Metrics};
use process_agent::agent::Options;
use process_agent::membership::Command;
use process_agent::metrics::render;
use process_agent::role::Epoch;

use super::{options, Member, BOUND};

/// An endpoint at a port that was free a moment ago.
pub fn admin() -> Admin {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    Admin {
        address: free.local_addr().expect("an address"),
        hosts: vec!["x".into()],
        group: "test".into(),
        health: Health {
            rules: Rules { policy: Policy::All, min_members: 0 },
            whole: Duration::from_millis(900),
            checks: Duration::from_millis(800),
        },
        metrics: Metrics {
            timeout: Duration::from_secs(1),
            options: render::Options::default(),
            format: None,
        },
        limits: Limits::default(),
    }
}

/// A member that answers at `admin`'s address while it leads.
pub fn member(runtime: &Path, thread_id: u32, admin: &Admin) -> Member {
    let member = Member::start(Options { thread_id, admin: Some(admin.clone()), ..options(runtime) });
    member.agent.tell(Command::Ready);
    member
}

/// A primary, and where it answers.
pub fn primary(runtime: &Path, limits: Limits) -> (Member, SocketAddr) {
    let admin = Admin { limits, ..admin() };
    let mut primary = member(runtime, 1, &admin);
    primary.until_elected(Epoch(0));
    (primary, admin.address)
}

/// Less than the endpoint's own limits, and more than what is to be soon takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(4);

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn has(&self, header: &str) -> bool {
        self.head.split("\r\n").any(|line| line == header)
    }
}

/// A connection to an endpoint.
pub struct Client(pub TcpStream);

impl Client {
    /// Connects as soon as somebody listens.
    pub fn connect(address: SocketAddr) -> Self {
        let deadline = Instant::now() + BOUND;
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(BOUND)).expect("a timeout");
                    return Self(stream);
                }
                Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Says bytes; the other end may have gone.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.0.write_all(bytes.as_ref());
        self
    }

    /// One answer; `None` when the connection ends without one.
    pub fn answer(&mut self, has_body: bool) -> Option<Answer> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                Ok(_) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        let head = String::from_utf8(bytes).expect("a head of ASCII").to_ascii_lowercase();
        let status = head[9..12].parse().expect("a status");
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; if has_body { length } else { 0 }];
        self.0.read_exact(&mut body).expect("the whole body");
        Some(Answer { status, head, body: String::from_utf8(body).expect("UTF-8") })
    }

    pub fn get(&mut self, path: &str, headers: &str) -> Answer {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
        self.answer(true).expect("an answer")
    }

    /// How long it took until the other end closed the connection.
    pub fn until_closed(mut self) -> Duration {
        let began = Instant::now();
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
        began.elapsed()
    }
}

/// One request on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    Client::connect(address).get(path, "Connection: close\r\n")
}
