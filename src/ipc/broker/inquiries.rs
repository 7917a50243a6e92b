//! What the broker asks of the group on its own account: the answers are for Rust, and this process's JavaScript has no
//! other part in it than every member's.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::Broker;
use crate::ipc::frame::Codec;
use crate::ipc::parcel::{Body, Parcel, Request};
use crate::metrics::render::Options;
use crate::metrics::write::Format;
use crate::role::{Epoch, MemberId};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    last: Request,
    open: BTreeMap<Request, mpsc::UnboundedSender<(Parcel, Body)>>,
}

/// What comes back from one. Dropping it is all that is needed when nobody waits for it any more.
#[derive(Debug)]
pub struct Inquiry {
    answers: mpsc::UnboundedReceiver<(Parcel, Body)>,
}

impl Inquiry {
    /// The next answer, of [`Parcel::Outcome`] or [`Parcel::Scraped`]; `None` when no more come.
    pub async fn next(&mut self) -> Option<(Parcel, Body)> {
        self.answers.recv().await
    }
}

impl Broker {
    /// The tenure.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Asks every member that is well, this process's own JavaScript too, to run `name`. `args` is a JSON array; values
    /// come back as JSON. `None` when this primary is handing over: it asks nobody any more.
    #[must_use]
    pub fn ask_the_well(&self, name: &str, args: String, timeout: Duration) -> Option<Inquiry> {
        let mut roster = self.roster();
        if self.is_closing() {
            return None;
        }
        let (request, inquiry) = self.inquiries().open();
        let body = Body { codec: Codec::Text, bytes: args.into() };
        let asker = (MemberId::BROKER, request);
        if let Err(error) = self.ask_all(&mut roster, asker, name.to_owned(), timeout, None, &body, None) {
            warn!("the members could not be asked: {error}");
            return None;
        }
        Some(inquiry)
    }

    /// Asks for the metrics of the group, which one [`Parcel::Scraped`] tells when all members have said theirs, or
    /// after `timeout`.
    #[must_use]
    pub fn ask_metrics(&self, format: Format, options: Options, timeout: Duration) -> Option<Inquiry> {
        let mut roster = self.roster();
        let (request, inquiry) = self.inquiries().open();
        if let Err(error) =
            self.scrape(&mut roster, (MemberId::BROKER, request), format, options, timeout, false)
        {
            warn!("the metrics could not be asked for: {error}");
            return None;
        }
        Some(inquiry)
    }

    /// Hands over what came back.
    pub(super) fn tell_inquirer(&self, parcel: Parcel, body: Body) {
        self.inquiries().tell(parcel, body);
    }

    /// Taken after the roster, where both are.
    fn inquiries(&self) -> MutexGuard<'_, Inquiries> {
        self.inquiries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inquiries {
    fn open(&mut self) -> (Request, Inquiry) {
        self.last = self.last.wrapping_add(1);
        let (sender, answers) = mpsc::unbounded_channel();
        self.open.retain(|_, inquirer| !inquirer.is_closed());
        self.open.insert(self.last, sender);
        (self.last, Inquiry { answers })
    }

    fn tell(&mut self, parcel: Parcel, body: Body) {
        let (request, is_last) = match &parcel {
            Parcel::Outcome { request, .. } => (*request, false),
            Parcel::Gathered { request, .. } | Parcel::Scraped { request, .. } => (*request, true),
            _ => return,
        };
        let Some(inquirer) = self.open.get(&request) else { return };
        let is_heard = matches!(parcel, Parcel::Gathered { .. }) || inquirer.send((parcel, body)).is_ok();
        if is_last || !is_heard {
            self.open.remove(&request);
        }
    }
}
