//! The control lane of one member, seen from its broker: hello, then whatever either end has to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::{debug, warn};

use super::routes::Towards;
use super::{vitals, Broker, Entry, HEAR_OUT, MOST_FRAMES};
use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::connection::{Connection, Outward};
use crate::ipc::flow::receiving::{Heard, Receiving, Terms};
use crate::ipc::flow::sending::Outgoing;
use crate::ipc::flow::signs::Signs;
use crate::ipc::flow::GRANTS;
use crate::ipc::health::Vitals;
use crate::ipc::lane;
use crate::ipc::message::{MemberInfo, MemberState, Message, Speaks};
use crate::ipc::outbox::Outbox;
use crate::role::MemberId;
use crate::time::{millis, Moment};
use crate::watch::ticks;

/// Bounds of how often a member may want to hear of us.
const BEAT_MS: std::ops::RangeInclusive<u64> = 20..=60_000;
/// How often it is looked whether a member may be heard again, or credited.
const LOOK: Duration = Duration::from_millis(5);

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
        let max_control = connection.agree(protocol, self.context.max_payload);
        let outbox = Outbox::new(protocol, self.epoch);
        let signs = Arc::new(Signs::default());
        let (id, welcome) = self.enter(member, protocol, max_payload, outbox.clone(), Arc::clone(&signs));
        let _left = Leaving { broker: self, id };
        connection.send(&welcome, self.epoch).await?;
        let wanted = beat_ms.unwrap_or(millis(self.limits.beat())).clamp(*BEAT_MS.start(), *BEAT_MS.end());
        let (incoming, outward) = connection.halves();
        let terms = Terms {
            protocol,
            max_control,
            max_calls: lane::most(self.context.max_payload),
            budget: self.context.receive.clone(),
            signs,
            outbox: outbox.clone(),
        };
        let receiving = Receiving::new(incoming, terms);
        let beats = self.beat_to(&outbox, Duration::from_millis(wanted));
        let mut hearing = std::pin::pin!(self.hear(id, receiving, &outbox, protocol >= GRANTS));
        tokio::select! {
            // First: its goodbye may still be unread when the end of its call lane has taken it off the roster.
            biased;
            outcome = &mut hearing => outcome,
            outcome = tell(&outbox, outward) => match outcome {
                Ok(()) => {
                    debug!("member {id} was told everything");
                    Ok(())
                }
                // It has gone; what it said before is still to be heard.
                Err(error) => timeout(HEAR_OUT, hearing).await.unwrap_or(Err(error)),
            },
            () = outbox.is_cut() => Ok(()),
            () = beats => Ok(()),
        }
    }

    /// Hears a member, at all times. It is given credit for what is handed on, when those who are to read that have room for
    /// more; one that knows of no credit is not heard meanwhile.
    async fn hear(
        &self,
        id: MemberId,
        mut receiving: Receiving<'_>,
        outbox: &Outbox,
        credits: bool,
    ) -> Result<()> {
        let mut owed = 0;
        let (mut towards, mut waits) = (Towards::Nobody, BTreeMap::new());
        loop {
            if towards != Towards::Nobody && !self.is_anybody_reading(towards, &mut waits) {
                outbox.credit_back(std::mem::take(&mut owed));
                towards = Towards::Nobody;
                waits.clear();
            }
            let waiting = towards != Towards::Nobody;
            let looks = waiting || receiving.is_paused();
            let heard = tokio::select! {
                heard = receiving.next(), if credits || !waiting => Some(heard?),
                () = tokio::time::sleep(LOOK), if looks => None,
            };
            let Some(heard) = heard else {
                if !credits {
                    // It is we who don't listen.
                    self.note_heard(id);
                }
                continue;
            };
            self.note_heard(id);
            match heard {
                Heard::Message(message) => self.listen_to(id, &message)?,
                Heard::Parcel(parcel, body, weight) => {
                    owed += weight.counted;
                    towards = towards.and(self.route(id, parcel, body, weight.permit.as_ref())?);
                }
                Heard::CallsGranted => {
                    let lane = self.roster().members.get(&id).and_then(|entry| entry.lane.clone());
                    lane.map_or(Ok(()), |lane| lane.granted())?;
                }
            }
        }
    }

    async fn beat_to(&self, outbox: &Outbox, every: Duration) {
        let mut beat = ticks(every);
        loop {
            beat.tick().await;
            outbox.beat(&self.beat());
        }
    }

    fn enter(
        &self,
        mut info: MemberInfo,
        protocol: u32,
        max_payload: usize,
        outbox: Outbox,
        signs: Arc<Signs>,
    ) -> (MemberId, Message) {
        let mut roster = self.roster();
        roster.last_id += 1;
        let id = MemberId(roster.last_id);
        info.id = id;
        info.role = "worker".into();
        let now = Moment::now();
        info.joined_at = now.wall;
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
            vitals: Vitals::new(info.state, now),
            looks: vitals::Looks::new(self.limits.beat(), Instant::now()),
            info,
            token,
            max_payload,
            protocol,
            outbox,
            signs,
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
                    entry.vitals.note(*state, Moment::now());
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
                self.answer_question(id, &Message::Members { request: *request, members: self.members() });
                Ok(())
            }
            Message::AskHealth { request } => {
                drop(roster);
                self.answer_question(id, &Message::Health { request: *request, members: self.standings() });
                Ok(())
            }
            other => Err(AgentError::BadFrame(format!("{other:?} from a member"))),
        }
    }

    /// One that asks without reading the answers gets no more of them.
    fn answer_question(&self, id: MemberId, answer: &Message) {
        let outbox = self.roster().members.get(&id).map(|entry| entry.outbox.clone());
        if let Some(outbox) = outbox.filter(|outbox| outbox.frames() < MOST_FRAMES) {
            outbox.send(Outgoing::message(answer, self.epoch));
        }
    }
}

/// Writes until the last word is out, or the member is turned out.
async fn tell(outbox: &Outbox, outward: Outward<'_>) -> Result<()> {
    while let Some(piece) = outbox.next().await {
        outward.send(&piece.bytes, || outbox.moved(&piece)).await?;
    }
    Ok(())
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
