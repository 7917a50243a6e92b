//! Room in a lane's socket for large frames.
//!
//! What the socket does not take at once is copied once more, and goes on in parts: each takes a wake-up of the other end
//! and one of the agent's thread. A lane that carries large frames gets room for some of them; all others keep what the
//! system gives, so that an end that does not read holds little of the kernel's memory.

use super::{Lane, State};

/// From this size on a payload is large.
const LARGE: usize = 64 * 1024;
/// How much a socket is to take. What Linux allows an ordinary process since 6.18; it gives less where less is allowed.
const ROOM: usize = 4 * 1024 * 1024;

impl Lane {
    /// Makes room in the socket when the first large frame is sent.
    pub(super) fn make_room(&self, state: &mut State, payload: usize) {
        if payload < LARGE || std::mem::replace(&mut state.has_room, true) {
            return;
        }
        if let Some(direct) = &self.direct {
            // Where the system refuses it, it goes as before.
            direct.make_room(ROOM);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::inbox::Inbox;
    use crate::ipc::connection::{listen, Connection};
    use crate::ipc::flow::budget::ReceiveBudget;
    use crate::ipc::frame::{Codec, Kind};
    use crate::ipc::lane::{Budget, ControlEnd, LaneContext, Lanes, Peer, ReadBy, Sent, Traffic};
    use crate::ipc::outbox::Outbox;
    use crate::role::user::User;
    use crate::role::{Epoch, MemberId};
    use interprocess::local_socket::tokio::prelude::*;

    /// How much of one frame waits in this process, while the other end does not read, and what room its socket has.
    async fn unwritten(payload: usize) -> (usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().join("socket");
        let listener = listen(&address).unwrap();
        let (stream, _) = Connection::connect(&address, User::current()).await.unwrap().into_parts();
        let _other_end = listener.accept().await.unwrap();
        let context = LaneContext {
            inbox: Arc::new(Inbox::new(|| {})),
            lanes: Arc::new(Lanes::default()),
            max_payload: payload,
            budget: Arc::new(Budget::new(payload)),
            traffic: Arc::new(Traffic::default()),
            read_by: ReadBy::EventLoop,
            receive: ReceiveBudget::new(payload),
        };
        let outbox = Outbox::new(3, Epoch(1));
        let control = ControlEnd { outbox, signs: Arc::default() };
        let peer = Peer { calls_us: true, id: MemberId(1), max_payload: payload, protocol: 3 };
        let lane = Lane::new(Epoch(1), peer, control, &stream, &context).unwrap();
        assert_eq!(lane.send(Kind::Replies, Codec::Bytes, &vec![0; payload], true), Sent::Frame(1));
        let unwritten = lane.state().unwritten;
        (unwritten, rustix::net::sockopt::socket_send_buffer_size(lane.direct.as_ref().unwrap()).unwrap())
    }

    #[tokio::test]
    async fn a_large_frame_goes_out_at_once_where_the_system_allows() {
        let limit = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
        let limit = limit.trim().parse::<usize>().unwrap();
        let (left, room) = unwritten(1024 * 1024).await;
        // Linux doubles what it is asked for, for what it keeps beside the bytes.
        assert_eq!(room, 2 * ROOM.min(limit));
        if limit >= ROOM {
            assert_eq!(left, 0);
        }
        let (_, usual) = unwritten(LARGE - 1).await;
        assert!(usual < room, "only a lane with large frames gets it");
        // There is an end to it: the rest waits for the other end to read.
        assert!(unwritten(16 * 1024 * 1024).await.0 > 4 * 1024 * 1024);
    }
}
