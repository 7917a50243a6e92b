//! The group's metrics, as `ProcessMetricsService` gives them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tracing::warn;

use super::once::Once;
use super::Metrics;
use crate::ipc::broker::Broker;
use crate::ipc::parcel::Parcel;
use crate::metrics::write::Format;

/// Texts of problems are remembered up to so many, each told once.
const MAX_TOLD: usize = 1_000;

/// Asks for them, once for all who ask at one time.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    text: Once<Option<Bytes>>,
    open_metrics: Once<Option<Bytes>>,
    told: Mutex<HashSet<String>>,
}

impl Scrapes {
    /// The exposition; `None` when this primary has no time left to give one.
    pub async fn get(&self, broker: &Broker, metrics: &Metrics, format: Format) -> Option<Bytes> {
        let once = match format {
            Format::Text => &self.text,
            Format::OpenMetrics => &self.open_metrics,
        };
        once.get(self.scrape(broker, metrics, format)).await
    }

    async fn scrape(&self, broker: &Broker, metrics: &Metrics, format: Format) -> Option<Bytes> {
        let mut inquiry = broker.ask_metrics(format, metrics.options, metrics.timeout)?;
        let (parcel, body) = inquiry.next().await?;
        if let Parcel::Scraped { problems, .. } = parcel {
            self.tell(problems);
        }
        Some(body.bytes)
    }

    /// Each problem is told once: how old a snapshot is makes no other one of it.
    fn tell(&self, problems: Vec<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for problem in problems {
            let key = problem.split(" it counts with ").next().unwrap_or_default();
            if told.len() < MAX_TOLD && told.insert(key.to_owned()) {
                warn!("metrics: {problem}");
            }
        }
    }
}
