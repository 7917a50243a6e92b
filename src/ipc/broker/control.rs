//! The control lane of one member, seen from its broker: hello, then whatever either end has to say.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, warn};

use super::{Broker, Entry, HEAR_OUT};
use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::connection::{Connection, Incoming, Outward};
use crate::ipc::frame::Kind;
use crate::ipc::health::Vitals;
use crate::ipc::message::{MemberInfo, MemberState, Message, Speaks};
use crate::ipc::outbox::{outbox, Outbox, Outgoing, Refused, WeakOutbox};
use crate::ipc::parcel::Parcel;
use crate::role::MemberId;
use crate::time::{millis, now_ms};
use crate::watch::silence::Silence;
use crate::watch::ticks;

/// Bounds of how often a member may want to hear of us.
const BEAT_MS: std::ops::RangeInclusive<u64> = 20..=60_000;

impl Broker {
    pub(super) async fn control(
        &self,
        mut connection: Connection,
        theirs: Speaks,
        beat_ms: Option<u64>,
        member: MemberInfo,
        max_payload: usize,
    ) -> Result<()> {
        let Some(protocol) = self.speaks.agree(theirs) else {
            let reason = format!(
                "the primary (pid {}, version {}) speaks {}, this process {theirs}; run one version of \
                 @midwayjs/process-agent in all processes of a group, or replace them in steps of one version",
                std::process::id(),
                self.roster().primary.version,
                self.speaks,
            );
            warn!("pid {} was refused: it speaks {theirs}, this process {}", member.pid, self.speaks);
            return connection.send(&Message::Refused { reason }, self.epoch).await;
        };
        connection.set_limit(self.context.max_payload);
        let (outbox, outgoing) = outbox(self.context.budget.most());
        let (id, welcome) = self.enter(member, protocol, max_payload, outbox.clone());
        let _left = Leaving { broker: self, id };
        connection.send(&welcome, self.epoch).await?;
        let wanted = beat_ms.unwrap_or(millis(self.limits.beat())).clamp(*BEAT_MS.start(), *BEAT_MS.end());
        let (incoming, outward) = connection.halves();
        // The roster has the other end: when it turns the member out, what is queued is still written.
        let beats = self.beat_to(outbox.downgrade(), Duration::from_millis(wanted));
        drop(outbox);
        let mut hearing = std::pin::pin!(self.hear(id, incoming));
        tokio::select! {
            // First: its goodbye may still be unread when the end of its call lane has taken it off the roster.
            biased;
            outcome = &mut hearing => outcome,
            outcome = self.tell(id, outgoing, outward) => match outcome {
                Ok(()) => Ok(()),
                // It has gone; what it said before is still to be heard.
                Err(error) => timeout(HEAR_OUT, hearing).await.unwrap_or(Err(error)),
            },
            () = beats => Ok(()),
        }
    }

    async fn hear(&self, id: MemberId, mut incoming: Incoming<'_>) -> Result<()> {
        loop {
            let frame = incoming.next().await?;
            self.note_heard(id);
            if frame.kind == Kind::Parcel {
                let (parcel, body) = Parcel::from_frame(frame)?;
                self.hear_parcel(id, parcel, body).await?;
            } else {
                self.listen_to(id, &Message::from_frame(&frame)?)?;
            }
        }
    }

    /// Writes until the last word is out, or the member is turned out.
    async fn tell(&self, id: MemberId, mut outgoing: Outgoing, outward: Outward<'_>) -> Result<()> {
        while let Some(bytes) = outgoing.next().await {
            outward.send(&bytes).await?;
            if outgoing.is_empty() && self.has_said_bye(id) {
                debug!("member {id} was told everything");
                break;
            }
        }
        Ok(())
    }

    async fn beat_to(&self, outbox: WeakOutbox, every: Duration) {
        let mut beat = ticks(every);
        loop {
            beat.tick().await;
            // Whatever else waits to be written is a sign of life as well.
            outbox.send_if_idle(|| self.beat().to_bytes(self.epoch).into());
        }
    }

    fn enter(
        &self,
        mut info: MemberInfo,
        protocol: u32,
        max_payload: usize,
        outbox: Outbox,
    ) -> (MemberId, Message) {
        let mut roster = self.roster();
        roster.last_id += 1;
        let id = MemberId(roster.last_id);
        info.id = id;
        info.role = "worker".into();
        info.joined_at = now_ms();
        roster.deaths.welcome(&info);
        let token = token();
        let welcome = Message::Welcome {
            protocol,
            beat_ms: Some(millis(self.limits.beat())),
            id,
            epoch: self.epoch,
            primary: roster.primary.clone(),
            token: token.clone(),
            max_payload: self.context.max_payload,
            members: roster.everybody().chain([&info]).cloned().collect(),
            dead: roster.dead().to_vec(),
        };
        self.context.inbox.tell(Notice::MemberJoined { member: info.clone() });
        self.broadcast(&mut roster, Some(id), &Message::Joined { member: info.clone() });
        let entry = Entry {
            vitals: Vitals::new(info.state, info.joined_at),
            silence: Silence::new(self.limits.beat(), Instant::now()),
            info,
            token,
            max_payload,
            protocol,
            outbox,
            lane: None,
            taken: 0,
            said_bye: false,
            heard_at: Instant::now(),
        };
        self.join_metrics(&entry.info);
        roster.members.insert(id, entry);
        (id, welcome)
    }

    fn listen_to(&self, id: MemberId, message: &Message) -> Result<()> {
        let mut roster = self.roster();
        match message {
            Message::State { state, .. } => {
                if let Some(entry) = roster.members.get_mut(&id) {
                    entry.info.state = *state;
                    entry.vitals.note(*state, now_ms());
                } else if *state == MemberState::Leaving {
                    roster.deaths.forgive(id);
                }
                self.context.inbox.tell(Notice::MemberState { id, state: *state });
                self.broadcast(&mut roster, Some(id), &Message::State { id, state: *state });
                Ok(())
            }
            Message::Beat { lag_ms, is_stuck, .. } => {
                drop(roster);
                self.note_lag(id, *lag_ms, *is_stuck);
                Ok(())
            }
            Message::ListMembers { request } => {
                drop(roster);
                self.answer_question(id, &Message::Members { request: *request, members: self.members() })
            }
            Message::AskHealth { request } => {
                drop(roster);
                self.answer_question(id, &Message::Health { request: *request, members: self.standings() })
            }
            other => Err(AgentError::BadFrame(format!("{other:?} from a member"))),
        }
    }

    fn answer_question(&self, id: MemberId, answer: &Message) -> Result<()> {
        let sender = self.roster().members.get(&id).map(|entry| entry.outbox.clone());
        let bytes = answer.to_bytes(self.epoch).into();
        match sender.map(|outbox| outbox.try_send(bytes)) {
            Some(Err(Refused::Full)) => Err(AgentError::Disconnected),
            // Who is gone reads no answer; what else it has said is still heard.
            Some(Ok(()) | Err(Refused::Closed)) | None => Ok(()),
        }
    }

    fn has_said_bye(&self, id: MemberId) -> bool {
        self.closing.load(Ordering::Relaxed)
            && self.roster().members.get(&id).is_some_and(|entry| entry.said_bye)
    }
}

/// Takes a member off the roster when its control connection ends, however it ends.
struct Leaving<'a> {
    broker: &'a Broker,
    id: MemberId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.broker.leave(self.id);
    }
}

/// A token that nobody can guess: it ties a call connection to its control connection.
fn token() -> String {
    let mut bytes = [0u8; 16];
    // Both connections are this user's anyway: without a source of randomness the roster still tells them apart.
    if getrandom::fill(&mut bytes).is_err() {
        warn!("no randomness for a token");
    }
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
