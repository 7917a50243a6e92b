//! One client, and what it may cost: a head of bounded size, in bounded time; no body; and an answer that has to be read.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::desk::Desk;
use super::Limits;

/// When a client must have got on.
#[derive(Debug)]
struct Deadline(Mutex<Instant>);

impl Deadline {
    fn within(duration: Duration) -> Self {
        Self(Mutex::new(Instant::now() + duration))
    }

    fn set_within(&self, duration: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + duration;
    }

    fn get(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what comes, until the client ends or takes too long; when `closing` says so, what is asked already alone.
pub(super) async fn serve(stream: TcpStream, desk: Arc<Desk>, mut closing: watch::Receiver<bool>) {
    let Limits { head, reading, writing, .. } = desk.admin.limits;
    let deadline = Arc::new(Deadline::within(reading + writing));
    let service = service_fn(|request: Request<Incoming>| {
        let (desk, deadline) = (Arc::clone(&desk), Arc::clone(&deadline));
        async move {
            deadline.set_within(desk.longest() + writing);
            let answer = desk.answer(&request).await;
            // hyper looks after the time until the next request, if the answer is out by then.
            deadline.set_within(writing.max(reading));
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(reading).max_buf_size(head).max_header_size(head);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut closes = false;
    loop {
        let until = deadline.get();
        tokio::select! {
            outcome = &mut connection => {
                if let Err(error) = outcome {
                    debug!("a client of the admin endpoint: {error}");
                }
                return;
            }
            () = tokio::time::sleep_until(until.into()) => if deadline.get() <= Instant::now() {
                debug!("a client of the admin endpoint takes too long");
                return;
            },
            () = when(&mut closing), if !closes => {
                closes = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Resolves when the endpoint closes.
pub(super) async fn when(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closes| *closes).await.is_err() {
        // Nobody is left to say so: then this task is about to be dropped.
        pending::<()>().await;
    }
}
