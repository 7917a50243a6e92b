//! Writes what the targets begin with, made by the encoders themselves: `cargo run --example seeds -- <folder>` makes a
//! folder for each target.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use process_agent::ipc::deaths::Death;
use process_agent::ipc::frame::{encode, encode_parcel, header, Codec, Kind};
use process_agent::ipc::health::{Condition, Standing};
use process_agent::ipc::lane::memory::Memory;
use process_agent::ipc::lane::ring::{Reader, Writer};
use process_agent::ipc::message::{Final, MemberInfo, MemberState, Message, PROTOCOL};
use process_agent::ipc::parcel::{Body, GatherId, Parcel, ScrapeId};
use process_agent::metrics::aggregate::Aggregate;
use process_agent::metrics::parse::parse;
use process_agent::metrics::render::Options;
use process_agent::metrics::schema::Schema;
use process_agent::metrics::snapshot::Snapshot;
use process_agent::metrics::write::{write, Format};
use process_agent::metrics::Incarnation;
use process_agent::role::{Epoch, MemberId};

const EPOCH: Epoch = Epoch(1_790_000_000_123);
const TEXT: &str = "# HELP jobs_total Jobs\\nof all\n# TYPE jobs_total counter\njobs_total{queue=\"mail \\\"\"} 7\njobs_total 3\n\
    # TYPE level gauge\nlevel -1.5\n# TYPE d histogram\nd_bucket{le=\"1\"} 2\nd_bucket{le=\"+Inf\"} 3\nd_sum 4.5\nd_count 3\n\
    # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 2\nplain NaN\n";

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let put = |target: &str, seeds: Vec<Vec<u8>>| {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).expect("a folder");
        for (n, seed) in seeds.into_iter().enumerate() {
            fs::write(folder.join(format!("seed-{n}")), seed).expect("a file");
        }
    };
    let lines = |lines: Vec<Vec<u8>>| [vec![lines.join(&b'\n')], lines].concat();
    put("frames", frames());
    // Announced, granted, begun, and so on to the end.
    let whole = [[0, 0, 64], [1, 0, 0], [2, 0, 64]].concat();
    put("assemblies", vec![[whole, [200, 0xff, 0xff].repeat(6)].concat()]);
    put("messages", lines(messages()));
    put("parcels", parcels());
    put("rings", rings());
    put("schemas", lines(schemas().iter().map(|schema| schema.to_json().into_bytes()).collect()));
    put("snapshots", vec![snapshots()]);
    put("expositions", expositions());
    put("states", vec![state()[24..].to_vec(), Aggregate::new().to_bytes()[24..].to_vec()]);
    // From a clock that is ahead: it stays fresh.
    let head = format!("{{\"epoch\":7,\"written_at\":{},\"length\":9}}\n", u64::MAX);
    put("handovers", vec![[head.as_bytes(), b"the state"].concat()]);
    put("metrics_files", vec![metrics_files()]);
    put("locks", vec![b"00000000001790000000\n".to_vec(), b"9007199254740991".to_vec(), Vec::new()]);
}

fn member(id: u32) -> MemberInfo {
    MemberInfo { id: MemberId(id), ..MemberInfo::of(id + 100) }
}

fn frames() -> Vec<Vec<u8>> {
    let mut stream = vec![64, 5];
    encode(&mut stream, Kind::Calls, Codec::Text, EPOCH, br#"[1,"a",[]]"#);
    encode(&mut stream, Kind::Replies, Codec::Bytes, EPOCH, &[0xff, 15, 65, 0]);
    encode(&mut stream, Kind::Final, Codec::Text, EPOCH, &Final { accepted: 3, relieved: false }.to_bytes());
    encode_parcel(&mut stream, Codec::Bytes, EPOCH, br#"{"type":"schema"}"#, b"\xffbody");
    stream.extend(Message::CallsOpen.to_bytes(EPOCH));
    vec![stream]
}

fn messages() -> Vec<Vec<u8>> {
    let death = Death { member: member(8), since: 5, at: Some(7), before: 3 };
    let standing = Standing { member: member(3), state: Condition::Ok, since: 5, for_ms: Some(1) };
    let all = [
        Message::Hello {
            protocol: PROTOCOL,
            oldest: Some(1),
            beat_ms: Some(500),
            member: member(0),
            max_payload: 9,
        },
        Message::Welcome {
            protocol: PROTOCOL,
            beat_ms: Some(500),
            id: MemberId(2),
            epoch: EPOCH,
            primary: member(1),
            token: "00ff".into(),
            max_payload: 9,
            members: vec![member(1), member(2)],
            dead: vec![death.clone()],
        },
        Message::Refused { reason: "no \"such\" version".into() },
        Message::OpenCalls { id: MemberId(2), token: "00ff".into() },
        Message::CallsOpen,
        Message::State { id: MemberId(1), state: MemberState::Leaving },
        Message::Beat { lag_ms: 3, is_stuck: true, dead: vec![death] },
        Message::Bye { taken: 7, died: true },
        Message::Joined { member: member(3) },
        Message::Left { member: member(3) },
        Message::ListMembers { request: 1 },
        Message::Members { request: 1, members: vec![member(1)] },
        Message::AskHealth { request: 2 },
        Message::Announce { bytes: 70_000, lane: true },
        Message::Grant { lane: false },
        Message::Credit { bytes: 262_144 },
        Message::Health { request: 2, members: vec![standing] },
    ];
    let mut lines: Vec<_> = all.iter().map(|message| message.to_bytes(EPOCH)[16..].to_vec()).collect();
    lines.push(Final { accepted: 7, relieved: true }.to_bytes());
    lines
}

/// Memory with some calls in it, one of which is read.
fn rings() -> Vec<Vec<u8>> {
    let (memory, file) = Memory::create().expect("memory");
    Reader::wake(memory.calls());
    let (mut writer, mut reader) = (Writer::default(), Reader::default());
    for (number, payload) in [(1, &b"[1]"[..]), (2, b""), (3, b"a longer payload")] {
        let head = header(Kind::Calls, Codec::Text, EPOCH, 0, payload.len());
        let _ = writer.push(memory.calls(), number, head, payload);
    }
    let mut unread = vec![0; 4096];
    rustix::io::pread(&file, &mut unread, 0).expect("it is read");
    reader.look(memory.calls()).expect("it is whole");
    let _ = reader.take(memory.calls(), 1);
    let mut read = vec![0; 4096];
    rustix::io::pread(&file, &mut read, 0).expect("it is read");
    vec![unread, read]
}

fn parcels() -> Vec<Vec<u8>> {
    let carrier = Some([("traceparent".to_owned(), "00-11".to_owned())].into());
    let (request, name) = (7, String::from("*Service.method"));
    let all = [
        Parcel::Gather { request, name: name.clone(), timeout_ms: 500, carrier: carrier.clone() },
        Parcel::Ask { gather: GatherId(7), name, until: 5, from: member(2), carrier, json: false },
        Parcel::Answer { gather: GatherId(7), status: 2 },
        Parcel::Outcome { request, member: member(3), status: 0 },
        Parcel::Gathered { request, asker: member(2) },
        Parcel::Publish { request, topic: "prices".into() },
        Parcel::Topic { topic: "prices".into(), from: member(2) },
        Parcel::Published { request },
        Parcel::Schema {},
        Parcel::Snapshot { scrape: Some(ScrapeId(3)) },
        Parcel::WantSchema { scrape: None },
        Parcel::Collect { scrape: ScrapeId(3), until: 5 },
        Parcel::Scrape {
            request,
            timeout_ms: 9,
            open_metrics: true,
            members_apart: false,
            slots: false,
            max_quantiles: true,
            tells: true,
        },
        Parcel::Scraped { request, problems: vec!["late".into()], failure: Some("too large".into()) },
    ];
    let bytes = |parcel: &Parcel| {
        let bytes = parcel.to_bytes(EPOCH, &Body { bytes: Bytes::from_static(b"\n[1]"), ..Body::none() });
        bytes.expect("a head that fits")[16..].to_vec()
    };
    all.iter().map(bytes).collect()
}

fn schemas() -> Vec<Schema> {
    let schema = |text: &str| {
        Schema::split(parse(text.as_bytes(), Format::Text).expect("an exposition")).expect("a schema").0
    };
    vec![
        schema(TEXT),
        schema("# TYPE d histogram\nd_bucket{le=\"0.5\"} 2\nd_bucket{le=\"+Inf\"} 3\nlevel 1\n"),
    ]
}

fn snapshots() -> Vec<u8> {
    let exemplars = r#"[[0,{"trace_id":"7"},0.5,1.5]]"#;
    let mut out = Vec::new();
    for sequence in 1..4 {
        let values = vec![1.0, f64::from(sequence), f64::NAN, 2.0, f64::from(3 - sequence), 4.5, 3.0];
        let schema = schemas()[0].id();
        let snapshot = Snapshot {
            schema,
            sequence: 1 + sequence as u64,
            time_ms: EPOCH.0,
            values,
            exemplars: Vec::new(),
        };
        let bytes = [&snapshot.encode()[..], exemplars.as_bytes()].concat();
        out.extend([u8::try_from(bytes.len()).expect("short"), sequence as u8]);
        out.extend(bytes);
    }
    out
}

fn expositions() -> Vec<Vec<u8>> {
    let families = parse(TEXT.as_bytes(), Format::Text).expect("an exposition");
    let open = "# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a it \\\"counts\\\"\n\
        a_total{x=\"1\"} 17.0 1520879607.789 # {trace_id=\"K,}\"} 0.67 1.5\na_created{x=\"1\"} 1.5e9\n\
        # TYPE c info\nc_info{v=\"1\"} 1\n# TYPE d stateset\nd{d=\"x\"} 0\n\
        # TYPE f gaugehistogram\nf_bucket{le=\"1\"} 2\nf_gcount 2\nf_gsum 1\n# EOF\n";
    let texts = [(0, TEXT.into()), (1, write(&families, Format::OpenMetrics)), (1, open.into())];
    texts.into_iter().map(|(first, text): (u8, Vec<u8>)| [vec![first], text].concat()).collect()
}

fn state() -> Vec<u8> {
    let mut aggregate = Aggregate::new();
    for (pid, schema) in (1..).zip(schemas().iter().cycle().take(4)) {
        let who = Incarnation { started_at: 1, pid, thread: 0, application: 0 };
        aggregate.join(who, "a member").expect("there is room");
        let id = aggregate.put_schema(who, schema.clone()).expect("there is room");
        for sequence in 1..3 {
            // The second has counted less: it has begun anew.
            let values = (0..schema.columns()).map(|n| n as f64 / sequence as f64).collect();
            let snapshot =
                Snapshot { schema: id, sequence, time_ms: sequence, values, exemplars: Vec::new() };
            aggregate.put_snapshot(who, snapshot).expect("it fits");
        }
        if pid < 3 {
            aggregate.forget(who);
        }
    }
    let _ = aggregate.render(Format::Text, Options::default(), &[]);
    aggregate.to_bytes()
}

fn metrics_files() -> Vec<u8> {
    let empty = Aggregate::new().to_bytes();
    let file = |epoch: u64, number: u64| [&epoch.to_le_bytes()[..], &number.to_le_bytes(), &empty].concat();
    let (one, other) = (file(7, 1), file(7, 2));
    [vec![u8::try_from(one.len()).expect("short")], one, other].concat()
}
