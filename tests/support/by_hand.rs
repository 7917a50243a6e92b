//! Ends of a connection without an agent behind them, which say what the test says.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use process_agent::agent::Options;
use process_agent::ipc::message::{MemberInfo, Message, PROTOCOL};
use process_agent::role::{Epoch, MemberId};

use super::Member;

/// A primary.
pub struct Fake {
    listener: UnixListener,
    pub epoch: Epoch,
}

/// A member's control connection, whose hello is said.
pub fn joining(socket: &Path, pid: u32) -> UnixStream {
    let mut control = UnixStream::connect(socket).expect("a primary listens");
    let (protocol, oldest, beat_ms, max_payload) = (PROTOCOL, None, Some(60_000), 1024);
    let hello = Message::Hello { protocol, oldest, beat_ms, member: MemberInfo::of(pid), max_payload };
    control.write_all(&hello.to_bytes(Epoch(0))).expect("it is read");
    control
}

impl Fake {
    /// In the folder of the group of `options`, which a member makes first.
    pub fn new(options: Options, epoch: Epoch) -> Self {
        let mut first = Member::start(options);
        first.until_elected(Epoch(0));
        let socket = first.agent.folder().join("socket");
        drop(first);
        Self { listener: UnixListener::bind(socket).expect("the socket is gone with the member"), epoch }
    }

    pub fn send(&self, stream: &mut UnixStream, message: &Message) {
        stream.write_all(&message.to_bytes(self.epoch)).expect("it is read");
    }

    /// Welcomes one member: its control connection, and its call connection.
    pub fn welcome(&self) -> (UnixStream, UnixStream) {
        self.welcome_with(&[])
    }

    /// The same, with more behind the last word of the handshake, in one piece with it.
    pub fn welcome_with(&self, behind: &[u8]) -> (UnixStream, UnixStream) {
        let mut control = self.accept();
        let welcome = Message::Welcome {
            protocol: PROTOCOL,
            beat_ms: None,
            id: MemberId(2),
            epoch: self.epoch,
            primary: MemberInfo { id: MemberId(1), role: "primary".into(), ..MemberInfo::of(0) },
            token: "t".into(),
            max_payload: 1000,
            members: Vec::new(),
            dead: Vec::new(),
        };
        self.send(&mut control, &welcome);
        let mut calls = self.accept();
        let open = Message::CallsOpen.to_bytes(self.epoch);
        calls.write_all(&[open.as_slice(), behind].concat()).expect("it is read");
        (control, calls)
    }

    /// A connection, and its first frame is read.
    fn accept(&self) -> UnixStream {
        let (mut stream, _) = self.listener.accept().expect("a connection");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("a length");
        stream.read_exact(&mut vec![0; u32::from_le_bytes(length) as usize]).expect("a frame");
        stream
    }
}
