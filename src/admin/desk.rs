//! From a request to an answer. Nothing of a request is used but its host, its method, its path and what it accepts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Body;
use hyper::header::{HeaderValue, ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::error;

use super::accept::format_of;
use super::host::{check, Refusal};
use super::look::look;
use super::metrics::Scrapes;
use super::once::Once;
use super::verdict::GroupHealth;
use super::Admin;
use crate::ipc::broker::Broker;
use crate::ipc::message::MemberInfo;
use crate::role::Epoch;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const FOREIGN: &str =
    "this host name is not known here: processAgent.admin.hosts names those that are, besides addresses\n";
/// How much longer than all that it waits for an answer may take.
const MORE: Duration = Duration::from_secs(2);

type Answer = Response<Full<Bytes>>;

/// Where all connections of a tenure get their answers.
#[derive(Debug)]
pub(super) struct Desk {
    pub admin: Arc<Admin>,
    pub broker: Arc<Broker>,
    scrapes: Scrapes,
    looks: Once<Arc<GroupHealth>>,
    /// For requests that are answered at one time.
    places: Semaphore,
}

#[derive(Serialize)]
struct Live {
    pid: u32,
    epoch: Epoch,
}

#[derive(Serialize)]
struct Roster<'a> {
    group: &'a str,
    epoch: Epoch,
    members: Vec<MemberInfo>,
}

impl Desk {
    pub fn new(admin: Arc<Admin>, broker: Arc<Broker>) -> Self {
        let places = Semaphore::new(admin.limits.connections);
        Self { admin, broker, scrapes: Scrapes::default(), looks: Once::default(), places }
    }

    /// No answer takes longer. Those who wait for one that is being made wait for two.
    pub fn longest(&self) -> Duration {
        self.admin.metrics.timeout.max(self.admin.health.whole).saturating_mul(2).saturating_add(MORE)
    }

    /// Waits for its turn; nobody closes the places before all have gone.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    pub async fn answer(&self, request: &Request<impl Body>) -> Answer {
        match check(request.version(), request.uri(), request.headers(), &self.admin.hosts) {
            Ok(()) => {}
            Err(Refusal::Ambiguous(reason)) => return last(say(StatusCode::BAD_REQUEST, reason)),
            Err(Refusal::Foreign) => return last(say(StatusCode::MISDIRECTED_REQUEST, FOREIGN)),
        }
        let path = request.uri().path();
        if !matches!(path, "/metrics" | "/health" | "/live" | "/members") {
            return say(StatusCode::NOT_FOUND, "there are /metrics, /health, /live and /members\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = say(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are all there is\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return last(answer);
        }
        if !request.body().is_end_stream() {
            return last(say(StatusCode::BAD_REQUEST, "no body is read\n"));
        }
        let answer = async {
            match path {
                "/metrics" => self.metrics(request.headers()).await,
                "/health" => self.health().await,
                "/members" => self.members(),
                _ => json(StatusCode::OK, &Live { pid: std::process::id(), epoch: self.broker.epoch() }),
            }
        };
        tokio::time::timeout(self.longest(), answer).await.unwrap_or_else(|_| too_late())
    }

    async fn metrics(&self, headers: &HeaderMap) -> Answer {
        let metrics = &self.admin.metrics;
        let accepts = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let format = metrics.format.unwrap_or_else(|| format_of(accepts));
        match self.scrapes.get(&self.broker, metrics, format).await {
            Some(text) => respond(StatusCode::OK, format.content_type(), text),
            None => too_late(),
        }
    }

    async fn health(&self) -> Answer {
        let look = async { Arc::new(look(&self.broker, &self.admin.health).await) };
        let health = self.looks.get(look).await;
        let status = if health.status { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        json(status, &*health)
    }

    fn members(&self) -> Answer {
        let members = self.broker.members();
        json(StatusCode::OK, &Roster { group: &self.admin.group, epoch: self.broker.epoch(), members })
    }
}

fn too_late() -> Answer {
    last(say(StatusCode::SERVICE_UNAVAILABLE, "another process is about to answer here: ask again\n"))
}

fn say(status: StatusCode, text: &'static str) -> Answer {
    respond(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(json) => respond(status, JSON, json.into()),
        Err(failure) => {
            error!("an answer could not be written: {failure}");
            say(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written\n")
        }
    }
}

fn respond(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The connection is closed behind it.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
