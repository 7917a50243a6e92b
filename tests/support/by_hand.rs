//! Ends of a connection without an agent behind them, which say what the test says.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::ipc::frame::{Frame, FrameReader, Kind};
use process_agent::ipc::message::{MemberInfo, Message, PROTOCOL};
use process_agent::role::{Epoch, MemberId};

use super::{Member, BOUND};

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

/// One end of a connection: what it writes, and the frames that come.
pub struct Wire {
    pub stream: UnixStream,
    pub epoch: Epoch,
    reader: FrameReader,
}

impl Wire {
    pub fn new(stream: UnixStream, epoch: Epoch) -> Self {
        stream.set_read_timeout(Some(BOUND)).expect("a timeout");
        Self { stream, epoch, reader: FrameReader::new(1 << 30) }
    }

    pub fn say(&mut self, message: &Message) {
        self.stream.write_all(&message.to_bytes(self.epoch)).expect("it is read");
    }

    /// The next frame; `None` at the end.
    pub fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.reader.next_frame().expect("frames") {
                return Some(frame);
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.reader.space().extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits for a message.
    pub fn until<T>(&mut self, what: &str, pick: impl Fn(&Message) -> Option<T>) -> T {
        let until = Instant::now() + BOUND;
        loop {
            assert!(Instant::now() < until, "waited for {what}");
            let frame = self.frame().unwrap_or_else(|| panic!("the end, before {what}"));
            if frame.kind == Kind::Control {
                if let Some(found) = pick(&Message::from_frame(&frame).expect("a message")) {
                    return found;
                }
            }
        }
    }

    pub fn until_granted(&mut self, of_calls: bool) {
        self.until("a grant", |message| match message {
            Message::Grant { lane } => (*lane == of_calls).then_some(()),
            _ => None,
        });
    }

    /// Whether a grant comes within `time`.
    pub fn is_granted(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        self.stream.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        let mut granted = false;
        while !granted && Instant::now() < until {
            while let Some(frame) = self.reader.next_frame().expect("frames") {
                granted |= frame.kind == Kind::Control
                    && matches!(Message::from_frame(&frame), Ok(Message::Grant { .. }));
            }
            let mut bytes = [0; 16 * 1024];
            if let Ok(count) = self.stream.read(&mut bytes) {
                self.reader.space().extend_from_slice(&bytes[..count]);
            }
        }
        self.stream.set_read_timeout(Some(BOUND)).expect("a timeout");
        granted
    }

    /// Waits for the end of the connection, whatever comes before it.
    pub fn until_end(&mut self) {
        let until = Instant::now() + BOUND;
        while self.frame().is_some() {
            assert!(Instant::now() < until, "waited for the end");
        }
    }
}

/// A member with both of its connections.
pub struct Hand {
    pub control: Wire,
    pub calls: Wire,
    pub id: MemberId,
}

impl Hand {
    /// Joins as pid `pid`, speaking that protocol.
    pub fn join(socket: &Path, pid: u32, protocol: u32) -> Self {
        let mut control = Wire::new(UnixStream::connect(socket).expect("a primary listens"), Epoch(0));
        let (oldest, beat_ms, max_payload) = (None, Some(25), 64 * 1024 * 1024);
        let member = MemberInfo::of(pid);
        control.say(&Message::Hello { protocol, oldest, beat_ms, member, max_payload });
        let (id, epoch, token) = control.until("a welcome", |message| match message {
            Message::Welcome { id, epoch, token, .. } => Some((*id, *epoch, token.clone())),
            _ => None,
        });
        control.epoch = epoch;
        let mut calls = Wire::new(UnixStream::connect(socket).expect("a primary listens"), epoch);
        calls.say(&Message::OpenCalls { id, token });
        calls.until("an open lane", |message| matches!(message, Message::CallsOpen).then_some(()));
        Self { control, calls, id }
    }

    pub fn beat(&mut self) {
        self.control.say(&Message::Beat { lag_ms: 0, is_stuck: false, dead: Vec::new() });
    }
}
