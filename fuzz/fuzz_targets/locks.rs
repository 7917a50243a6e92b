//! Any lock file gives an epoch that grows, and that JavaScript can hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::role::lock::try_hold;

const MAX_EPOCH: u64 = (1 << 53) - 1;

fuzz_target!(|data: &[u8]| {
    let folder = process_agent_fuzz::folder();
    std::fs::write(folder.join("lock"), data).expect("a file");
    let mut lock = try_hold(folder).expect("a lock").expect("nobody else holds it");
    let first = lock.raise_epoch().expect("an epoch");
    let second = lock.raise_epoch().expect("an epoch");
    // No group gets that far, from a clock; who finds it all the same starts from the clock again.
    assert!(first < second || first.0 == MAX_EPOCH, "{first}, {second}");
    assert!(first.0 <= MAX_EPOCH && second.0 <= MAX_EPOCH, "{first}, {second}");
});
