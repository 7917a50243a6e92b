//! How members talk.
//!
//! A member has two connections to its primary, both to the socket in the group's folder: the *control lane*, Rust to
//! Rust, and the *call lane*, from event loop to event loop. Both carry the frames of [`frame`].
//!
//! ```text
//!  member                                          primary
//!    | control: Hello ------------------------------> |   peer credentials, protocol
//!    | <------------------------------ Welcome(token) |   member id, epoch
//!    | calls: OpenCalls(id, token) -----------------> |
//!    | <------------------------------------ CallsOpen|
//!    | calls: Calls, Calls, … ----------------------> | ---> JavaScript, in order
//!    | <-------------------------------- Replies, …   |
//!    | <-------------------------------- Final        |   a primary that hands over: "accepted up to here"
//! ```
//!
//! The life of a call: JavaScript encodes a batch and gives it to [`lane::Lane::send`], which writes it from the
//! JavaScript thread, to memory that both ends share or to the socket, and else leaves it to the lane's writer task. At the
//! other end the event loop reads it; where it can't, the lane's reader task puts it into the [`crate::inbox::Inbox`], whose
//! one wake-up makes JavaScript take all that waits. The reply comes back the same way. Which way carries calls is decided in
//! [`lane`] alone.
//!
//! When a primary dies, each lane is read to its end before JavaScript hears that it is closed, so a reply that was
//! already sent still counts.

pub mod ask;
pub mod broker;
pub mod client;
pub mod connection;
pub mod deaths;
pub mod direct;
pub mod flow;
pub mod frame;
pub mod gather;
pub mod health;
pub mod lane;
pub mod message;
pub mod outbox;
pub mod parcel;
pub mod voice;
