//! What the previous primary has left: taken once, never more than the limit, and nothing stays behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::role::{handover, Epoch};

const LIMIT: usize = 64;

fuzz_target!(|data: &[u8]| {
    let folder = process_agent_fuzz::folder();
    std::fs::write(folder.join("handover"), data).expect("a file");
    if let Some(state) = handover::take(folder, Epoch(8), LIMIT) {
        assert!(state.len() <= LIMIT && data.ends_with(&state));
        handover::leave(folder, Epoch(7), &state).expect("a file");
        assert_eq!(handover::take(folder, Epoch(8), LIMIT), Some(state));
    }
    assert_eq!(handover::take(folder, Epoch(8), LIMIT), None);
    assert!(!folder.join("handover").exists());
});
