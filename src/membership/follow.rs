//! Following: a worker stays with its primary until that is gone.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, Notify};
use tracing::debug;

use super::{Command, Commands, Membership, CHECK};
use crate::error::AgentError;
use crate::inbox::Notice;
use crate::ipc::client::{Account, Following, Say};
use crate::ipc::message::MemberState;
use crate::time::Moment;
use crate::watch::ticks;

/// How long a member that leaves waits for its goodbye to be written.
const GOODBYE: Duration = Duration::from_millis(200);

impl Membership {
    pub(super) async fn follow(&mut self, following: Following, commands: &mut Commands) -> ControlFlow<()> {
        let mut account = Account::new(&following);
        let flow = self.follow_on(following, &mut account, commands).await;
        let Account { written, taken, known } = account;
        self.legacy = known.legacy(Moment::now());
        self.inbox().tell(Notice::Leaderless { written, taken });
        flow
    }

    async fn follow_on(
        &mut self,
        following: Following,
        account: &mut Account,
        commands: &mut Commands,
    ) -> ControlFlow<()> {
        let epoch = following.epoch;
        debug!("pid {} follows pid {} in epoch {epoch}", self.me.pid, following.primary.pid);
        let (say, mut said) = mpsc::unbounded_channel();
        // It may have changed since the hello; saying it again does no harm.
        let _ = say.send(Say::State(self.me.state));
        let context = self.context.clone();
        let shortcuts = self.shortcuts.clone();
        let following = following.follow(&context, self.manners, &shortcuts, &mut said, account);
        let mut followed = std::pin::pin!(following);
        let mut check = ticks(CHECK);
        let can_change_user = self.manners.user.can_change();
        loop {
            tokio::select! {
                // First: what there is to say is said before a command to leave is heard.
                biased;
                outcome = &mut followed => {
                    match outcome {
                        Ok(()) | Err(AgentError::Disconnected) => debug!("the primary of epoch {epoch} is gone"),
                        Err(error) => debug!("the primary of epoch {epoch} is gone: {error}"),
                    }
                    return ControlFlow::Continue(());
                }
                _ = check.tick(), if can_change_user => self.tell_if_locked_out(),
                command = commands.recv() => {
                    let message = match command {
                        Some(Command::Ready) => {
                            self.me.state = MemberState::Ready;
                            Say::State(MemberState::Ready)
                        }
                        Some(Command::HandOver { .. }) => {
                            self.stop_standing();
                            Say::State(MemberState::Leaving)
                        }
                        Some(Command::ListMembers(request)) => Say::ListMembers(request),
                        Some(Command::Parcel(of, said)) => Say::Parcel(of, said),
                        Some(Command::TookOver(_) | Command::LanesFinished) => continue,
                        Some(Command::AskHealth(request)) => Say::AskHealth(request),
                        Some(Command::Leave) => {
                            let is_said = Arc::new(Notify::new());
                            let _ = say.send(Say::Goodbye(Arc::clone(&is_said)));
                            tokio::select! {
                                _ = &mut followed => {}
                                () = is_said.notified() => {}
                                () = tokio::time::sleep(GOODBYE) => {}
                            }
                            return ControlFlow::Break(());
                        }
                        Some(Command::Abandon) | None => return ControlFlow::Break(()),
                    };
                    // It is received as long as we follow.
                    let _ = say.send(message);
                }
            }
        }
    }
}
