//! The one place that knows how Rust calls JavaScript.

use napi::bindgen_prelude::{Either, FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};

use crate::inbox::{Item, Notice};

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

/// What JavaScript gets of a frame: lane, kind, epoch, payload.
pub type FrameArgs = FnArgs<(u32, u32, f64, Either<String, napi::bindgen_prelude::Buffer>)>;

/// Hands items to JavaScript, in order.
///
/// # Errors
/// When a function throws: then the items after it are lost, so the functions must not.
pub fn deliver(
    items: Vec<Item>,
    on_frame: &Function<'_, FrameArgs, ()>,
    on_notice: &Function<'_, String, ()>,
) -> Result<()> {
    for item in items {
        match item {
            Item::Frame(lane, frame) => {
                let payload = match frame.codec {
                    // The frame codec has checked that it is UTF-8.
                    crate::ipc::frame::Codec::Text => {
                        Either::A(String::from_utf8_lossy(&frame.payload).into_owned())
                    }
                    crate::ipc::frame::Codec::Bytes => Either::B(frame.payload.to_vec().into()),
                };
                on_frame.call(FnArgs::from((
                    lane.id.0,
                    frame.kind as u32,
                    number(frame.epoch.0),
                    payload,
                )))?;
            }
            Item::Notice(notice) => on_notice.call(notice_json(&notice))?,
        }
    }
    Ok(())
}

/// A count or an epoch as JavaScript has it. Both stay far below 2^53, up to which a double is exact.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, which no count of ours reaches")]
pub fn number(count: u64) -> f64 {
    count as f64
}

fn notice_json(notice: &Notice) -> String {
    serde_json::to_string(notice).expect("a notice has only fields that JSON can hold")
}
