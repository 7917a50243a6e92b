//! Two files of metrics that earlier tenures have kept: the newest is told first, and one is spared when the next is
//! written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::metrics::aggregate::Aggregate;
use process_agent::role::metrics_file::MetricsFile;
use process_agent::role::Epoch;

const EPOCH: Epoch = Epoch(1 << 40);

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first() else { return };
    let (one, other) = rest.split_at(usize::from(*length).min(rest.len()));
    let folder = process_agent_fuzz::folder();
    for (name, bytes) in [("metrics.0", one), ("metrics.1", other)] {
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
    let mut file = MetricsFile::new(folder, EPOCH);
    let kept = file.kept();
    let is_earlier =
        |bytes: &[u8]| bytes.first_chunk().is_some_and(|epoch| u64::from_le_bytes(*epoch) < EPOCH.0);
    for each in &kept {
        assert!([one, other].iter().any(|file| file.get(16..) == Some(&each.state[..]) && is_earlier(file)));
        let _ = Aggregate::from_bytes(&each.state, 1);
    }
    if let Some(newest) = kept.first() {
        file.spare(newest);
        file.keep(b"new").expect("a file");
        let now = MetricsFile::new(folder, Epoch(EPOCH.0 + 1)).kept();
        assert!(now[0].state.starts_with(b"new"));
        assert!(now.iter().any(|kept| kept.state == newest.state));
    }
    file.discard();
    assert!(MetricsFile::new(folder, EPOCH).kept().is_empty());
});
