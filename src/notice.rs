//! What JavaScript is told, beside frames of calls.

use serde::Serialize;

use crate::ipc::health::Standing;
use crate::ipc::lane::LaneId;
use crate::ipc::message::{MemberInfo, MemberState};
use crate::ipc::parcel::{Body, Parcel};
use crate::role::{Epoch, MemberId};

/// Something that JavaScript is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Notice {
    /// This process is primary now. What the previous one has left comes as a body.
    Elected {
        /// The new tenure.
        epoch: Epoch,
        /// Our id in it.
        id: MemberId,
        /// Who is gone without having said so.
        dead: Vec<MemberInfo>,
    },
    /// This process follows a primary now.
    Following {
        /// The primary's tenure.
        epoch: Epoch,
        /// Our id in it.
        id: MemberId,
        /// Who leads.
        primary: MemberInfo,
        /// Everybody else, this process too.
        members: Vec<MemberInfo>,
        /// Who is gone without having said so.
        dead: Vec<MemberInfo>,
        /// The largest payload that it takes, in bytes.
        max_payload: usize,
    },
    /// This process hands over, and all else has come to its end: the last word is to be said on every lane, by
    /// JavaScript, where frames are taken, so that the count of those that were accepted is exact.
    Finishing,
    /// There is no primary that we know; an election follows.
    Leaderless {
        /// How many of this tenure's requests were handed to the operating system, or to our own broker.
        written: u64,
        /// How many of them a primary that handed over has taken; unknown when it just died.
        taken: Option<u64>,
    },
    /// The primary has said nothing for long: its process is frozen.
    PrimaryFrozen {
        /// For how long, in ms.
        silent_ms: u64,
    },
    /// The frozen primary goes on.
    PrimaryThawed,
    /// The event loop is asked for a turn, and whether a debugger is attached.
    Ping,
    /// The primary that we follow has finished its own start-up.
    PrimaryReady {
        /// Its tenure.
        epoch: Epoch,
    },
    /// A call lane to another member is open.
    LaneOpen {
        /// Its number, unique in this process.
        lane: LaneId,
        /// The tenure that it belongs to.
        epoch: Epoch,
        /// The member at the other end.
        peer: MemberId,
        /// The protocol's version that both ends speak.
        protocol: u32,
        /// It makes the calls, and this process is its primary.
        calls_us: bool,
        /// The largest payload that the other end takes.
        max_payload: usize,
    },
    /// A call lane has been read to its end.
    LaneClosed {
        /// Its number.
        lane: LaneId,
        /// How many of our frames were handed to the operating system whole.
        written: u64,
        /// How many of our frames a primary that gave its role up has accepted; unknown when it just died.
        accepted: Option<u64>,
        /// It was relieved, because its event loop was stuck.
        relieved: bool,
    },
    /// Somebody joined the group.
    MemberJoined {
        /// Who.
        member: MemberInfo,
    },
    /// A member's state has changed.
    MemberState {
        /// Whose.
        id: MemberId,
        /// What it is now.
        state: MemberState,
    },
    /// Somebody left the group.
    MemberLeft {
        /// Who.
        member: MemberInfo,
    },
    /// The answer to a question for the members.
    Members {
        /// The question's number.
        request: u32,
        /// Everybody, the primary first.
        members: Vec<MemberInfo>,
    },
    /// The answer to a question for the group's health.
    Health {
        /// The question's number.
        request: u32,
        /// Everybody, the primary first, and the dead last.
        members: Vec<Standing>,
    },
    /// A parcel has arrived, with its body.
    Parcel {
        /// Its head.
        parcel: Parcel,
    },
    /// Something for the log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: &'static str,
        /// What to write.
        message: String,
    },
    /// The group can't be joined.
    Failed {
        /// The code of the error.
        code: &'static str,
        /// Its message.
        message: String,
    },
    /// The agent has ended; nothing follows.
    Closed,
}

/// A notice with a body.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What JavaScript is told.
    pub notice: Notice,
    /// What Rust does not look into.
    pub body: Body,
    /// When nobody waits for it any more, of the host's clock, in ms.
    pub expires: Option<u64>,
}

impl Letter {
    /// A parcel that never expires.
    #[must_use]
    pub fn of(parcel: Parcel, body: Body) -> Self {
        Self { notice: Notice::Parcel { parcel }, body, expires: None }
    }
}
