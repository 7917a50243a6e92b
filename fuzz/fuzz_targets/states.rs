//! The state that a primary leaves of the group's metrics, with a header that is right for it, or as it is: what is one
//! can be adopted, stays the same when it is written again, and the group's text can be made of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::metrics::aggregate::Aggregate;
use process_agent::metrics::render::Options;
use process_agent::metrics::write::Format;

const NOW: u64 = 1_790_000_000_000;

fuzz_target!(
    init: {
        let empty = Aggregate::new().to_bytes();
        let body = &empty[24..empty.len() - 12];
        assert_eq!(with_slots(sealed(body), &[]), empty, "the header or the slots are written in another way");
    },
    |data: &[u8]| {
        let _ = Aggregate::from_bytes(data, NOW);
        // Without slots, as an earlier version writes it, and with some.
        let _ = Aggregate::from_bytes(&sealed(data), NOW);
        let bytes = with_slots(sealed(data), &data[data.len().saturating_sub(16)..]);
        let Ok(mut aggregate) = Aggregate::from_bytes(&bytes, NOW) else { return };
        let first = aggregate.to_bytes();
        let again = Aggregate::from_bytes(&first, NOW).expect("what is written can be read");
        assert_eq!(again.to_bytes(), first);
        let mut adopting = Aggregate::new();
        adopting.adopt(&bytes, NOW).expect("what can be read can be adopted");
        for format in [Format::Text, Format::OpenMetrics] {
            let rendered = aggregate.render(format, Options::default(), &[]);
            assert!(std::str::from_utf8(&rendered.text).is_ok());
        }
        aggregate.settle(u64::MAX, 0);
        let _ = aggregate.render(Format::Text, Options { members_apart: true, ..Options::default() }, &[]);
        Aggregate::from_bytes(&aggregate.to_bytes(), NOW).expect("what is written can be read");
    }
);

/// With the header of `src/metrics/state.rs`.
fn sealed(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u64).to_le_bytes();
    [&b"PAMA"[..], &1_u32.to_le_bytes(), &length, &checksum(body).to_le_bytes(), body].concat()
}

/// With the slots of members behind it, which are bound to the state by its checksum.
fn with_slots(mut state: Vec<u8>, slots: &[u8]) -> Vec<u8> {
    let sum = checksum(slots) ^ checksum(&state[24..]);
    state.extend_from_slice(b"PAML");
    state.extend_from_slice(&sum.to_le_bytes());
    state.extend_from_slice(slots);
    state
}

fn checksum(bytes: &[u8]) -> u64 {
    let length = (bytes.len() as u64).to_le_bytes();
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last, &length]).fold(0xcbf2_9ce4_8422_2325, |sum: u64, word| {
        (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(27)
    })
}
