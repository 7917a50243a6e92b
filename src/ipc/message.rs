//! What is said on the control lane, and in the handshakes of both lanes: JSON, one message a frame.

use serde::{Deserialize, Serialize};

use crate::error::{AgentError, Result};
use crate::ipc::deaths::Death;
use crate::ipc::frame::{self, Codec, Frame, Kind};
use crate::ipc::health::Standing;
use crate::role::{Epoch, MemberId};

/// The protocol's version, raised with each change of what is said between members.
pub const PROTOCOL: u32 = 4;
/// The oldest version that is spoken too: one back, during a rolling restart.
pub const OLDEST_PROTOCOL: u32 = 3;

/// The protocol's versions that a process speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speaks {
    /// Its own.
    pub protocol: u32,
    /// The oldest.
    pub oldest: u32,
}

impl Default for Speaks {
    fn default() -> Self {
        Self { protocol: PROTOCOL, oldest: OLDEST_PROTOCOL }
    }
}

impl Speaks {
    /// The newest version that both speak.
    #[must_use]
    pub fn agree(self, other: Self) -> Option<u32> {
        let newest = self.protocol.min(other.protocol);
        (newest >= self.oldest && newest >= other.oldest).then_some(newest)
    }
}

impl std::fmt::Display for Speaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.oldest == self.protocol {
            write!(f, "protocol {}", self.protocol)
        } else {
            write!(f, "protocols {} to {}", self.oldest, self.protocol)
        }
    }
}

/// A member as the others see it. Field names are those of JavaScript's `Member`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberInfo {
    /// Given by the broker; 0 in a hello.
    pub id: MemberId,
    /// Process id.
    pub pid: u32,
    /// Worker thread id; 0 for a main thread.
    pub thread_id: u32,
    /// `primary` or `worker`.
    pub role: String,
    /// How the process was started, in the words of JavaScript's `Deployment`.
    pub deployment: String,
    /// Whether its own start-up has finished, or it is leaving.
    pub state: MemberState,
    /// When it joined, in ms since 1970.
    pub joined_at: u64,
    /// When its process started, in ms since 1970.
    pub started_at: u64,
    /// The version of this package in it.
    pub version: String,
    /// Whether it may become primary.
    pub candidate: bool,
    /// For how long its event loop had been silent when it last said so, in ms.
    #[serde(default)]
    pub lag_ms: u64,
}

impl MemberInfo {
    /// The largest, in bytes of JSON: everybody is told of each member, and a welcome tells of all of them.
    pub const LARGEST: usize = 2048;

    /// Whether its texts are as short as those that processes have: others keep it, and tell it on.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        json(self).len() <= Self::LARGEST
    }

    /// A process of which nothing more is said: ready, a candidate, `configured`, and not joined yet. For tests and
    /// benchmarks, which name what is different.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self {
            id: MemberId(0),
            pid,
            thread_id: 0,
            role: "worker".into(),
            deployment: "configured".into(),
            state: MemberState::Ready,
            joined_at: 0,
            started_at: 0,
            version: "0.0.0".into(),
            candidate: true,
            lag_ms: 0,
        }
    }
}

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// Its own start-up has not finished.
    Starting,
    /// Its own start-up has finished.
    Ready,
    /// It is stopping.
    Leaving,
}

/// A message on the control lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Message {
    /// First on a control connection, from the member.
    Hello {
        /// The member's [`PROTOCOL`].
        protocol: u32,
        /// The oldest version that it speaks; missing: no other.
        #[serde(default)]
        oldest: Option<u32>,
        /// How often it wants to hear of the primary, in ms.
        #[serde(default)]
        beat_ms: Option<u64>,
        /// Who it is.
        member: MemberInfo,
        /// The largest payload that it takes, in bytes.
        max_payload: usize,
    },
    /// The answer to a hello.
    Welcome {
        /// The protocol's version that both speak.
        protocol: u32,
        /// How often the primary wants to hear of the member, in ms.
        #[serde(default)]
        beat_ms: Option<u64>,
        /// The member's id in this tenure.
        id: MemberId,
        /// This tenure's epoch.
        epoch: Epoch,
        /// The primary.
        primary: MemberInfo,
        /// Shown again on the call connection, so that both are known to be of one member.
        token: String,
        /// The largest payload that the primary takes, in bytes.
        max_payload: usize,
        /// Everybody.
        #[serde(default)]
        members: Vec<MemberInfo>,
        /// Who is gone without having said so.
        #[serde(default)]
        dead: Vec<Death>,
    },
    /// The other answer to a hello: this member can't join, now or with another version.
    Refused {
        /// Why, in words, with what to do.
        reason: String,
    },
    /// First on a call connection, from the member.
    OpenCalls {
        /// The id of the welcome.
        id: MemberId,
        /// The token of the welcome.
        token: String,
    },
    /// The answer to [`Message::OpenCalls`]; frames of calls follow, both ways.
    CallsOpen,
    /// From a member: its state has changed. From the primary: a member's has.
    State {
        /// Whose; ignored from a member, which speaks for itself.
        id: MemberId,
        /// What it is now.
        state: MemberState,
    },
    /// Both ways, now and then: the process runs, and this is how its event loop does.
    Beat {
        /// For how long the event loop has been silent, in ms.
        lag_ms: u64,
        /// That is longer than it should be.
        #[serde(default, rename = "stuck", skip_serializing_if = "std::ops::Not::not")]
        is_stuck: bool,
        /// From the primary: who is gone without having said so.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dead: Vec<Death>,
    },
    /// From a primary that gives its role up, last on the control lane.
    Bye {
        /// How many of the member's requests it has taken.
        taken: u64,
        /// Its process ends, and not in order.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        died: bool,
    },
    /// From the primary: somebody joined.
    Joined {
        /// Who.
        member: MemberInfo,
    },
    /// From the primary: somebody left, or died.
    Left {
        /// Who.
        member: MemberInfo,
    },
    /// From a member: who is in the group?
    ListMembers {
        /// Comes back in the answer.
        request: u32,
    },
    /// The answer to [`Message::ListMembers`].
    Members {
        /// The question's number.
        request: u32,
        /// Everybody, the primary first.
        members: Vec<MemberInfo>,
    },
    /// Both ways, from protocol 4 on, see [`crate::ipc::flow`]: a large frame is to be sent.
    Announce {
        /// The length of its payload, with a parcel's head.
        bytes: u32,
        /// On the call lane.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lane: bool,
    },
    /// The answer to [`Message::Announce`]: it may be sent.
    Grant {
        /// On the call lane.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lane: bool,
    },
    /// Both ways, from protocol 4 on: so much of the parcels that were sent is handed on.
    Credit {
        /// In bytes of their frames.
        bytes: u32,
    },
    /// From a member: how do the members of the group do?
    AskHealth {
        /// Comes back in the answer.
        request: u32,
    },
    /// The answer to [`Message::AskHealth`].
    Health {
        /// The question's number.
        request: u32,
        /// Everybody, the primary first, and the dead last.
        members: Vec<Standing>,
    },
}

/// The last word of a primary that hands over, on each call lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Final {
    /// How many frames of this connection it has accepted; it has not looked at the later ones.
    pub accepted: u64,
    /// It did not give up by itself: its event loop was stuck.
    #[serde(default)]
    pub relieved: bool,
}

impl Final {
    /// The payload of the frame that says it.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        json(&self)
    }
}

/// JSON of a type of this module.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the types of this module have only fields that JSON can hold")
}

impl Message {
    /// The message as the bytes of a frame.
    #[must_use]
    pub fn to_bytes(&self, epoch: Epoch) -> Vec<u8> {
        let mut out = Vec::new();
        frame::encode(&mut out, Kind::Control, Codec::Text, epoch, &json(self));
        out
    }

    /// The message in a frame.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when it holds none.
    pub fn from_frame(frame: &Frame) -> Result<Self> {
        if frame.kind != Kind::Control {
            return Err(AgentError::BadFrame(format!("{:?} where a control message belongs", frame.kind)));
        }
        serde_json::from_slice(&frame.payload).map_err(|error| AgentError::BadFrame(error.to_string()))
    }
}
