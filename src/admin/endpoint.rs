//! The endpoint, for one tenure.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{watch, Notify};
use tokio::task::{yield_now, JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, warn};

use super::connection::{serve, when};
use super::desk::Desk;
use super::listen::listen;
use super::seats::{Seat, Seats};
use super::Admin;
use crate::ipc::broker::Broker;

/// A pause when a client could not be accepted: no descriptor left, for one, and others may close theirs.
const TROUBLED: Duration = Duration::from_millis(50);

/// It answers for `broker` until it is closed or dropped.
#[derive(Debug)]
pub struct Endpoint {
    task: JoinHandle<()>,
    closing: watch::Sender<bool>,
}

impl Endpoint {
    /// Begins to listen, in a task of the runtime that this is called in.
    #[must_use]
    pub fn open(admin: Arc<Admin>, broker: Arc<Broker>) -> Self {
        let (closing, closes) = watch::channel(false);
        Self { task: tokio::spawn(run(Arc::new(Desk::new(admin, broker)), closes)), closing }
    }

    /// Frees the port; what is being answered has until `grace` has passed.
    pub async fn close(mut self, grace: Duration) {
        let _ = self.closing.send(true);
        let mut ended = timeout(grace, &mut self.task).await;
        if ended.is_err() {
            self.task.abort();
            ended = Ok((&mut self.task).await);
        }
        if matches!(ended, Ok(Err(error)) if error.is_panic()) {
            warn!("the admin endpoint has failed, which is a mistake in @midwayjs/process-agent");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(desk: Arc<Desk>, mut closing: watch::Receiver<bool>) {
    let listener = tokio::select! {
        listener = listen(desk.admin.address) => listener,
        () = when(&mut closing) => return,
    };
    let freed = Arc::new(Notify::new());
    let mut seats = Seats::new(desk.admin.limits.connections);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(stream) = accept(&listener), if seats.has_room() => {
                let seat = Arc::new(Seat::new(&freed));
                let client = serve(stream, Arc::clone(&desk), Arc::clone(&seat), closing.clone());
                seats.give(connections.spawn(client), seat);
                // What it has asked already is read before others come, however many they are.
                yield_now().await;
            }
            () = until(seats.due()) => seats.make_room(Instant::now()),
            Some(ended) = connections.join_next_with_id() => {
                seats.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            () = freed.notified() => {}
            () = when(&mut closing) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => pending().await,
    }
}

/// The next client.
async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            debug!("a client of the admin endpoint could not be accepted: {error}");
            tokio::time::sleep(TROUBLED).await;
            None
        }
    }
}
