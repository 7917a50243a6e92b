//! Sends what the Rust side logs to JavaScript, which writes it to Midway's logger.

use std::fmt::{Debug, Write};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::Registry;

use crate::inbox::{Inbox, Notice};

/// A subscriber for the agent's thread, whose events become notices.
pub fn subscriber(inbox: Arc<Inbox>) -> impl Subscriber + Send + Sync {
    Registry::default().with(Forward(inbox))
}

struct Forward(Arc<Inbox>);

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
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.tell(Notice::Log { level, message: text.0 });
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
