//! One client, and what it may cost: a head of bounded size, in bounded time; no body; and an answer that has to be read.

use std::convert::Infallible;
use std::future::pending;
use std::io::{IoSlice, Result};
use std::pin::{pin, Pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::debug;

use super::desk::Desk;
use super::seats::Seat;
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

/// A stream that tells when all of an answer is written: hyper flushes it when nothing is left to write.
struct Watched {
    stream: TcpStream,
    seat: Arc<Seat>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, buf: &mut ReadBuf) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, buf: &[u8]) -> Poll<Result<usize>> {
        self.seat.write();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context,
        bufs: &[IoSlice],
    ) -> Poll<Result<usize>> {
        self.seat.write();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<Result<()>> {
        self.seat.flush();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Answers what comes, until the client ends or takes too long; when `closing` says so, what is asked already alone.
pub(super) async fn serve(
    stream: TcpStream,
    desk: Arc<Desk>,
    seat: Arc<Seat>,
    mut closing: watch::Receiver<bool>,
) {
    let Limits { head, reading, writing, .. } = desk.admin.limits;
    let deadline = Arc::new(Deadline::within(reading + writing));
    let service = service_fn(|request: Request<Incoming>| {
        let (desk, deadline, seat) = (Arc::clone(&desk), Arc::clone(&deadline), Arc::clone(&seat));
        seat.ask();
        async move {
            // As long as all who are answered before it may take, which are no more than four times as many.
            deadline.set_within(desk.longest().saturating_mul(4) + writing);
            let turn = desk.turn().await;
            deadline.set_within(desk.longest() + writing);
            let answer = desk.answer(&request).await;
            drop(turn);
            seat.answer();
            // hyper looks after the time until the next request, if the answer is out by then.
            deadline.set_within(writing.max(reading));
            Ok::<_, Infallible>(answer)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(reading).max_buf_size(head).max_header_size(head);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Watched { stream, seat: Arc::clone(&seat) }), service));
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
