//! The one error enum of the crate, and the code that JavaScript sees for each variant.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong in joining, leading or following a group.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The folder that holds the groups can't be used: wrong owner, writable by others, or not writable by us.
    #[error("the runtime folder {path} can't be used: {reason}")]
    RuntimeDir {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do, in words.
        reason: String,
    },
    /// The lock file can't be opened, read or written.
    #[error("the lock file {path} can't be used: {source}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Listening on the group's socket failed.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The socket's address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The primary turned us away, for good: another protocol version, for one.
    #[error("the primary refused this process: {0}")]
    Refused(String),
    /// The bytes of a peer don't follow the protocol; its connection is closed.
    #[error("bad frame: {0}")]
    BadFrame(String),
    /// Another user's process is at the other end.
    #[error("the process at the other end belongs to user {peer}, not to user {own}")]
    ForeignUser {
        /// The effective user id at the other end.
        peer: u32,
        /// Our own effective user id.
        own: u32,
    },
    /// The peer closed the connection.
    #[error("the connection was closed")]
    Disconnected,
    /// The peer didn't answer in time.
    #[error("no answer within {0} ms")]
    NoAnswer(u64),
    /// An operation of the operating system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl AgentError {
    /// The `code` of the `ProcessAgentError` that JavaScript makes of this.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::RuntimeDir { .. } | Self::Lock { .. } | Self::Listen { .. } => "ERR_AGENT_RUNTIME_DIR",
            Self::Refused(_) => "ERR_AGENT_REFUSED",
            Self::Disconnected | Self::NoAnswer(_) => "ERR_AGENT_NO_PRIMARY",
            Self::ForeignUser { .. } | Self::BadFrame(_) | Self::Io(_) => "ERR_AGENT_INTERNAL",
        }
    }
}

/// The crate's result.
pub type Result<T, E = AgentError> = std::result::Result<T, E>;
