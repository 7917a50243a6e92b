//! How JavaScript is asked for its metrics: by a call of its own where there is one, which it answers in the very
//! wake-up, and else through the inbox.

use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use crate::inbox::{Inbox, Letter};
use crate::ipc::parcel::{Body, Parcel, ScrapeId};
use crate::ipc::voice::Voices;
use crate::role::Epoch;

/// What are your metrics now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The tenure that it belongs to.
    pub epoch: Epoch,
    /// Comes back in the snapshot.
    pub scrape: ScrapeId,
    /// Until when somebody waits for it, of the host's clock, in ms.
    pub until: u64,
}

/// Wakes the event loop with a question; `false` when too many wait already.
type Call = dyn Fn(Question) -> bool + Send + Sync;

/// See the module.
#[derive(Clone, Default)]
pub struct Ask(Option<Arc<Call>>);

impl Ask {
    /// By that call.
    #[must_use]
    pub fn new(call: impl Fn(Question) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(call)))
    }

    /// Asks. JavaScript may not have heard of the tenure yet.
    pub fn ask(&self, question: Question, inbox: &Inbox) {
        if self.0.as_ref().is_some_and(|call| call(question)) {
            return;
        }
        let Question { scrape, until, .. } = question;
        // Without room its JavaScript is stuck: time will be up.
        let _ = inbox.try_post(Letter {
            expires: Some(until),
            ..Letter::of(Parcel::Collect { scrape, until }, Body::none())
        });
    }
}

/// What there is between the JavaScript thread and the control lane, beside inbox and commands.
#[derive(Clone, Debug, Default)]
pub struct Shortcuts {
    /// How it is asked for its metrics.
    pub ask: Ask,
    /// Where it says them.
    pub voices: Voices,
}

impl Debug for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ask").field(&self.0.is_some()).finish()
    }
}
