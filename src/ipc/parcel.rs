//! What members ask of all others through the broker, and what comes back: a head that Rust reads, and a body that
//! JavaScript alone understands (arguments, a value, what was published).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{AgentError, Result};
use crate::ipc::flow::sending::Class;
use crate::ipc::frame::{self, Codec, Frame, Kind};
use crate::ipc::message::MemberInfo;
use crate::role::Epoch;

/// The largest head, as the frame's header can tell it.
pub const MAX_HEAD: usize = u16::MAX as usize;

/// Small texts that travel beside a question: the caller's tracing context, in words of its own.
pub type Carrier = BTreeMap<String, String>;

/// A gather's number in its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GatherId(pub u64);

/// A scrape's number in its broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScrapeId(pub u64);

/// A request's number in the member that makes it.
pub type Request = u32;

/// The head of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Parcel {
    /// From a member: ask all others. Body: the arguments.
    Gather {
        /// Comes back in each outcome.
        request: Request,
        /// What to run.
        name: String,
        /// How long the others may take, in ms.
        timeout_ms: u32,
        /// What goes along.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carrier: Option<Carrier>,
    },
    /// To a member: a question of another one. Body: the arguments.
    Ask {
        /// Comes back in the answer.
        gather: GatherId,
        /// What to run.
        name: String,
        /// Until when somebody waits for the answer, in ms of the host's clock ([`crate::time::Clock`]): the members of a
        /// group share it, and one that was frozen in between must not believe that it was just asked.
        until: u64,
        /// Who asks.
        from: MemberInfo,
        /// What goes along.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carrier: Option<Carrier>,
        /// The answer is for Rust: a value is to be told as JSON, whatever becomes of it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        json: bool,
    },
    /// From a member: its answer. Body: the value, or what was thrown.
    Answer {
        /// The question's gather.
        gather: GatherId,
        /// How it ended, in JavaScript's words.
        status: u8,
    },
    /// To the asker: one member's answer. Body: as in the answer.
    Outcome {
        /// Of the gather.
        request: Request,
        /// Who has answered.
        member: MemberInfo,
        /// How it ended, in JavaScript's words.
        status: u8,
    },
    /// To the asker: no further outcome comes. Body: those who have not answered, as JSON, see [`Missing`]; they may be
    /// more than a head can name.
    Gathered {
        /// Of the gather.
        request: Request,
        /// The asker itself, as the others see it.
        asker: MemberInfo,
    },
    /// From a member: tell everybody. Body: the data.
    Publish {
        /// Comes back when it has been passed on.
        request: Request,
        /// What it is about.
        topic: String,
    },
    /// To a member: something was published. Body: the data.
    Topic {
        /// What it is about.
        topic: String,
        /// Who has published it.
        from: MemberInfo,
    },
    /// To the publisher: it has been passed on to every member. No body.
    Published {
        /// Of the publishing.
        request: Request,
    },
    /// From a member: what its next snapshots mean. Body: a schema (`metrics::schema`), as text.
    Schema {},
    /// From a member: its metrics. Body: a snapshot (`metrics::snapshot`), whose schema is the last one told.
    Snapshot {
        /// The scrape that asks for it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scrape: Option<ScrapeId>,
    },
    /// To a member: say your schema, and then your metrics again. No body.
    WantSchema {
        /// The scrape that waits for them, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scrape: Option<ScrapeId>,
    },
    /// To a member: what are your metrics now? No body.
    Collect {
        /// Comes back in the snapshot.
        scrape: ScrapeId,
        /// Until when somebody waits for it, in ms of the host's clock ([`crate::time::Clock`]).
        until: u64,
    },
    /// From a member: what are the group's metrics? No body.
    Scrape {
        /// Comes back in the answer.
        request: Request,
        /// How long the members may take, in ms.
        timeout_ms: u32,
        /// As OpenMetrics, not as text 0.0.4.
        open_metrics: bool,
        /// Series by member, not merged.
        members_apart: bool,
        /// And the label is the member's slot.
        #[serde(default)]
        slots: bool,
        /// The greatest quantiles of summaries are wanted.
        max_quantiles: bool,
        /// Its own numbers come right behind: it is not asked for them.
        #[serde(default)]
        tells: bool,
    },
    /// To the asker: the group's metrics. Body: the exposition.
    Scraped {
        /// Of the scrape.
        request: Request,
        /// What is missing or old in it, in words.
        problems: Vec<String>,
        /// There is no exposition: why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
}

/// A member that has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Who.
    pub member: MemberInfo,
    /// Why not.
    pub reason: Reason,
}

/// Why a member has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Time was up.
    Timeout,
    /// It died, or its connection ended.
    Lost,
    /// The question is larger than what it takes.
    TooLarge,
    /// Its answer is larger than what the asker takes.
    AnswerTooLarge,
}

/// What is behind the head of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// How it is encoded.
    pub codec: Codec,
    /// The bytes.
    pub bytes: Bytes,
}

impl Body {
    /// No body.
    #[must_use]
    pub fn none() -> Self {
        Self { codec: Codec::Bytes, bytes: Bytes::new() }
    }

    /// The body of [`Parcel::Gathered`].
    ///
    /// # Panics
    /// Never, as [`Parcel::to_bytes`].
    #[must_use]
    pub fn of_missing(missing: &[Missing]) -> Self {
        let json = serde_json::to_vec(missing).expect("members have only fields that JSON can hold");
        Self { codec: Codec::Text, bytes: json.into() }
    }
}

impl Parcel {
    /// With its deadline, which is of the host's clock, by the clock of a peer.
    #[must_use]
    pub fn dated(mut self, clock: crate::time::Clock) -> Self {
        if let Self::Ask { until, .. } | Self::Collect { until, .. } = &mut self {
            *until = clock.tell(*until);
        }
        self
    }

    /// Whether a member waits for the broker's word on it: such parcels are counted at both ends.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self, Self::Gather { .. } | Self::Publish { .. })
    }

    /// Which other parcels it keeps its order with.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Gather { .. } | Self::Publish { .. } | Self::Topic { .. } | Self::Published { .. } => {
                Class::Request
            }
            Self::Ask { .. } => Class::Question,
            Self::Answer { .. } | Self::Outcome { .. } | Self::Gathered { .. } => Class::Answer,
            Self::Schema {}
            | Self::Snapshot { .. }
            | Self::WantSchema { .. }
            | Self::Collect { .. }
            | Self::Scrape { .. }
            | Self::Scraped { .. } => Class::Metrics,
        }
    }

    /// The parcel as the bytes of a frame.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when the head is larger than [`MAX_HEAD`].
    pub fn to_bytes(&self, epoch: Epoch, body: &Body) -> Result<Bytes> {
        let mut out = self.start(epoch, body)?;
        out.extend_from_slice(&body.bytes);
        Ok(out.into())
    }

    /// What stands before the body in that frame.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    ///
    /// # Panics
    /// Never: a head has only fields that JSON can hold.
    pub fn start(&self, epoch: Epoch, body: &Body) -> Result<Vec<u8>> {
        let head =
            serde_json::to_vec(self).expect("the types of this module have only fields that JSON can hold");
        if head.len() > MAX_HEAD {
            return Err(AgentError::BadFrame(format!("a head of {} bytes", head.len())));
        }
        let header = frame::header(Kind::Parcel, body.codec, epoch, head.len(), body.bytes.len());
        Ok([header.as_slice(), &head].concat())
    }

    /// The parcel in a frame.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when it holds none.
    pub fn from_frame(frame: Frame) -> Result<(Self, Body)> {
        if frame.kind != Kind::Parcel {
            return Err(AgentError::BadFrame(format!("{:?} where a parcel belongs", frame.kind)));
        }
        let parcel = Self::from_head(&frame.head)?;
        Ok((parcel, Body { codec: frame.codec, bytes: frame.payload }))
    }

    /// The parcel with this head.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when it is none.
    pub fn from_head(head: &[u8]) -> Result<Self> {
        serde_json::from_slice(head).map_err(|error| AgentError::BadFrame(error.to_string()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::ipc::frame::FrameReader;

    #[test]
    fn a_parcel_keeps_its_head_and_its_body() {
        let parcel = Parcel::Publish { request: 7, topic: "prices".into() };
        let body = Body { codec: Codec::Bytes, bytes: Bytes::from_static(&[0xff, 0, 1]) };
        let mut reader = FrameReader::new(1024);
        reader.space().extend_from_slice(&parcel.to_bytes(Epoch(5), &body).unwrap());
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!(frame.epoch, Epoch(5));
        assert_eq!(Parcel::from_frame(frame).unwrap(), (parcel, body));
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        let parcel = Parcel::Publish { request: 7, topic: "x".repeat(70_000) };
        assert!(parcel.to_bytes(Epoch(5), &Body::none()).is_err());
    }
}
