//! Sends what the Rust side logs to JavaScript, which writes it to Midway's logger. Each kind of line, which is what one
//! place in the code logs, is limited in rate: a condition that lasts, or a flood from outside, does not fill a log.

use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::Registry;

use crate::inbox::{Inbox, Notice};

/// A subscriber for the agent's thread, whose events become notices.
pub fn subscriber(inbox: Arc<Inbox>) -> impl Subscriber + Send + Sync {
    Registry::default().with(Forward { inbox, kinds: Mutex::default() })
}

/// How many lines of one kind may come at once.
const BURST: u32 = 5;
/// How long after a line of a kind another one may come, once the burst is used up. `ts/log.ts` has the same numbers.
const INTERVAL: Duration = Duration::from_secs(10);

struct Forward {
    inbox: Arc<Inbox>,
    /// As many as there are places in the code that log.
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

impl Forward {
    /// How many lines of this kind were left out before this one; `None` if this one is left out, too.
    fn admit(&self, callsite: Identifier, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(callsite).or_insert_with(|| Kind::new(now)).admit(now)
    }
}

struct Kind {
    /// How many lines may come now.
    free: u32,
    /// When `free` last grew, or was full.
    since: Instant,
    left_out: u64,
}

impl Kind {
    fn new(now: Instant) -> Self {
        Self { free: BURST, since: now, left_out: 0 }
    }

    fn admit(&mut self, now: Instant) -> Option<u64> {
        while self.free < BURST && now.saturating_duration_since(self.since) >= INTERVAL {
            self.free += 1;
            self.since += INTERVAL;
        }
        if self.free == BURST {
            self.since = now;
        }
        if self.free == 0 {
            self.left_out += 1;
            return None;
        }
        self.free -= 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl<S: Subscriber> Layer<S> for Forward {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // The libraries below have their own events, which mean nothing to a user of this package.
        metadata.target().starts_with("process_agent") && *metadata.level() <= Level::DEBUG
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        let Some(left_out) = self.admit(event.metadata().callsite(), Instant::now()) else { return };
        let mut text = Text(String::new());
        event.record(&mut text);
        if left_out > 0 {
            // Writing to a string can't fail.
            let _ = write!(text.0, " ({left_out} lines of this kind were left out before it)");
        }
        self.inbox.tell(Notice::Log { level, message: text.0 });
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
        // Writing to a string can't fail.
        let _ = written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Item;

    fn lines_of(log: impl FnOnce()) -> Vec<String> {
        let inbox = Arc::new(Inbox::new(|| {}));
        tracing::subscriber::with_default(subscriber(Arc::clone(&inbox)), log);
        let mut lines = Vec::new();
        loop {
            let (items, more) = inbox.take();
            lines.extend(items.into_iter().filter_map(|item| match item {
                Item::Notice(Notice::Log { message, .. }) => Some(message),
                _ => None,
            }));
            if !more {
                return lines;
            }
        }
    }

    #[test]
    fn a_flood_of_one_kind_is_a_few_lines_and_hides_no_other_kind() {
        let lines = lines_of(|| {
            for user in 0..300 {
                tracing::warn!("user {user} holds the name");
            }
            tracing::warn!("another kind");
        });
        let first: Vec<String> = (0..BURST).map(|user| format!("user {user} holds the name")).collect();
        assert_eq!(lines, [first, vec!["another kind".to_owned()]].concat());
    }

    #[test]
    fn a_kind_speaks_again_after_the_interval_and_says_how_much_was_left_out() {
        let start = Instant::now();
        let mut kind = Kind::new(start);
        // 20 a second, for a minute.
        let told: Vec<u64> =
            (0..1_200).filter_map(|i| kind.admit(start + Duration::from_millis(50 * i))).collect();
        assert_eq!(told, [0, 0, 0, 0, 0, 195, 199, 199, 199, 199]);
        let quiet = start + Duration::from_secs(3_600);
        let burst: Vec<u64> = (0..100).filter_map(|_| kind.admit(quiet)).collect();
        assert_eq!(burst, [199, 0, 0, 0, 0]);
    }
}
