//! Text of either format, of two members: what can be read stays the same when it is written again, and counts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::metrics::aggregate::Aggregate;
use process_agent::metrics::parse::parse;
use process_agent::metrics::render::Options;
use process_agent::metrics::write::{write, Format};
use process_agent::metrics::Incarnation;

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let format = if first & 1 == 0 { Format::Text } else { Format::OpenMetrics };
    let _ = Format::of_content_type(&String::from_utf8_lossy(text));
    let Ok(families) = parse(text, format) else { return };
    let again = write(&families, format);
    let read = parse(&again, format).expect("what is written can be read");
    assert_eq!(write(&read, format), again);
    let mut aggregate = Aggregate::new();
    for pid in [1, 2] {
        let who = Incarnation { started_at: 0, pid, thread: 0, application: 0 };
        let _ = aggregate.put_text(who, text, format, 1, 1);
    }
    for format in [Format::Text, Format::OpenMetrics] {
        let rendered = aggregate.render(format, Options::default(), &[]);
        assert!(std::str::from_utf8(&rendered.text).is_ok());
    }
});
