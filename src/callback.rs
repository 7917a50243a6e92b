//! The one place that knows how Rust calls JavaScript.

#[cfg(unix)]
mod frames;

#[cfg(unix)]
pub use frames::{EnvironmentEnd, FrameCallback};
use napi::bindgen_prelude::{Buffer, Either, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};

use crate::inbox::{Item, Letter, Notice};
use crate::ipc::ask::{Ask, Question};
use crate::ipc::frame::Codec;
use crate::ipc::lane::LaneId;
use crate::ipc::message::Final;
use crate::ipc::parcel::Body;
use crate::time::host_ms;

/// Wakes the event loop. Weak: an idle agent doesn't keep a process alive.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 2>;

/// Makes a function for Rust threads of `wake`, which is called on the event loop, without arguments.
///
/// # Errors
/// When Node has no resources left for one.
pub fn waker(wake: &Function<'_, (), ()>) -> Result<impl Fn() + Send + Sync + 'static> {
    let wake: Wake = wake
        .build_threadsafe_function::<()>()
        .callee_handled::<false>()
        .weak::<true>()
        .max_queue_size::<2>()
        .build()?;
    // A full queue means that a wake-up is on its way; a closing one, that nobody is there to be woken.
    Ok(move || {
        let _ = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
    })
}

/// What JavaScript gets of a frame: lane, kind, payload.
pub type FrameArgs = FnArgs<(u32, u32, Either<String, Buffer>)>;
/// The function that gets it. It may not throw.
pub type OnFrame<'a> = Function<'a, FrameArgs, ()>;

/// What JavaScript gets of a question for its metrics: epoch, scrape, for how many ms from now somebody waits.
pub type AskArgs = FnArgs<(f64, f64, f64)>;
/// Weak, as [`Wake`]. More than a broker has scrapes are never asked at once.
type AskMetrics = ThreadsafeFunction<Question, (), AskArgs, Status, false, true, 256>;

/// Asks by calling `ask`, in a wake-up of its own.
///
/// # Errors
/// When Node has no resources left for one.
pub fn asker(ask: &Function<'_, AskArgs, ()>) -> Result<Ask> {
    let ask: AskMetrics = ask
        .build_threadsafe_function::<Question>()
        .callee_handled::<false>()
        .weak::<true>()
        .max_queue_size::<256>()
        // On the event loop: it may have been busy since it was asked.
        .build_callback(|context| {
            let Question { epoch, scrape, until } = context.value;
            Ok(FnArgs::from((number(epoch.0), number(scrape.0), number(left(until)))))
        })?;
    Ok(Ask::new(move |question| ask.call(question, ThreadsafeFunctionCallMode::NonBlocking) == Status::Ok))
}

/// What JavaScript gets of a notice: JSON, the body of one that has a body, and for how many ms from now somebody waits
/// for what it asks.
pub type NoticeArgs = FnArgs<(String, Option<Either<String, Buffer>>, Option<f64>)>;

/// The lanes that the event loop reads.
pub trait PolledLanes {
    /// There is room again for what the lane brings.
    fn resume(&self, lane: LaneId);
    /// The lane has ended: gives JavaScript what is left of it, and tells the other end's last word, if it is one of these.
    fn finish(&self, lane: LaneId) -> Option<Final>;
    /// None is read any more, and JavaScript is not called.
    fn close(&self);
}

/// Hands items to JavaScript, in order.
///
/// # Errors
/// When a function throws: then the items after it are lost, so the functions must not.
pub fn deliver(
    items: Vec<Item>,
    lanes: &impl PolledLanes,
    on_frame: &OnFrame<'_>,
    on_notice: &Function<'_, NoticeArgs, ()>,
) -> Result<()> {
    for item in items {
        // Here and not when it was taken: the items before it may have kept the event loop until the tenure had ended.
        if !item.accept() {
            continue;
        }
        match item {
            Item::Frame(lane, frame) => {
                let payload = payload(frame.codec, &frame.payload);
                on_frame.call(FnArgs::from((lane.id.0, frame.kind as u32, payload)))?;
            }
            Item::Room(lane) => lanes.resume(lane),
            Item::Notice(Notice::LaneClosed { lane, written, accepted, relieved }) => {
                // What is still in its socket comes before its end, and with it, perhaps, the other end's last word.
                let last = lanes.finish(lane);
                let notice = Notice::LaneClosed {
                    lane,
                    written,
                    accepted: last.map_or(accepted, |last| Some(last.accepted)),
                    relieved: relieved || last.is_some_and(|last| last.relieved),
                };
                on_notice.call(FnArgs::from((notice_json(&notice), None, None)))?;
            }
            Item::Notice(notice) => {
                if notice == Notice::Closed {
                    lanes.close();
                }
                on_notice.call(FnArgs::from((notice_json(&notice), None, None)))?;
            }
            Item::Letter(Letter { notice, body, expires }) => {
                let body = payload(body.codec, &body.bytes);
                let left = expires.map(|at| number(left(at)));
                on_notice.call(FnArgs::from((notice_json(&notice), Some(body), left)))?;
            }
        }
    }
    Ok(())
}

fn payload(codec: Codec, bytes: &[u8]) -> Either<String, Buffer> {
    match codec {
        // The frame codec has checked that it is UTF-8.
        Codec::Text => Either::A(String::from_utf8_lossy(bytes).into_owned()),
        Codec::Bytes => Either::B(bytes.to_vec().into()),
    }
}

/// A body that JavaScript has encoded.
pub fn body(encoded: Either<String, Buffer>) -> Body {
    match encoded {
        Either::A(text) => Body { codec: Codec::Text, bytes: text.into_bytes().into() },
        Either::B(bytes) => Body { codec: Codec::Bytes, bytes: bytes.to_vec().into() },
    }
}

/// How many ms are left until then, of the host's clock.
fn left(at: u64) -> u64 {
    at.saturating_sub(host_ms())
}

/// A count or an epoch as JavaScript has it. Both stay far below 2^53, up to which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no count of ours reaches")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// A count or an epoch that JavaScript gives: a whole number from 0, or the nearest to it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
pub fn count(number: f64) -> u64 {
    number as u64
}

fn notice_json(notice: &Notice) -> String {
    serde_json::to_string(notice).expect("a notice has only fields that JSON can hold")
}
