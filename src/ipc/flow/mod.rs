//! Flow control: how much one end of a connection may have to keep for the other, and how a peer that lives is told from one
//! that does not.
//!
//! A payload of more than [`SMALL`] bytes is *large*. From protocol 4 on a large frame is announced, and its sender waits
//! until the receiver has granted its whole length. Grants are given in the order of the announcements over all connections
//! of a process, out of one [`budget::ReceiveBudget`]; a frame that is larger than the whole budget passes alone. The permit
//! lives as long as the bytes do. All words of flow control travel on the control lane, also those about the call lane, because
//! a control lane is read at all times:
//!
//! ```text
//!  sender                                receiver
//!    | Announce { bytes, lane: false } -> |   waits for the budget, and reads on meanwhile
//!    | <------------- Grant { lane: false}|
//!    | Chunk, Chunk, … ------------------> |   control lane: at most SMALL bytes each; other frames pass between them
//!
//!    | Announce { bytes, lane: true } ---> |
//!    | <--------------- Grant { lane: true}|
//!    | (call lane) the frame, whole -----> |   nothing may pass a frame there: calls have an order
//! ```
//!
//! At most one announcement of each lane waits for its grant, so that a member with many large frames takes its turn
//! with the others. Small parcels for other members or for JavaScript are counted: a sender has a [`WINDOW`] of them, which
//! the receiver fills up again ([`crate::ipc::message::Message::Credit`]) when it has handed them on.
//!
//! A peer of protocol 3 announces nothing: when the header of a large frame has arrived, its connection is not read on
//! before the budget has room for it.

pub mod assembly;
pub mod budget;
pub mod receiving;
pub mod sending;
pub mod signs;

/// The largest payload, with a parcel's head, that needs no grant; and the largest chunk.
pub const SMALL: usize = crate::ipc::frame::SMALL;

/// How many bytes of counted frames may be under way, from one end of a connection to the other, before the receiver has
/// handed them on.
pub const WINDOW: usize = 1024 * 1024;

/// The protocol's version since which large frames are announced and small ones counted.
pub const GRANTS: u32 = 4;
