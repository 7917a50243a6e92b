//! What is said on the control lane: messages, and parcels with their bodies.

use bytes::Bytes;
use criterion::{Criterion, Throughput};

use process_agent::ipc::frame::{whole, Codec, Frame};
use process_agent::ipc::message::{MemberInfo, Message};
use process_agent::ipc::parcel::{Body, GatherId, Parcel};
use process_agent::role::{Epoch, MemberId};

const EPOCH: Epoch = Epoch(1_790_000_000_123);
/// The numbers of 500 series.
const SNAPSHOT: usize = 4000;

pub fn messages(criterion: &mut Criterion) {
    let members: Vec<_> = (1..=64).map(member).collect();
    let mut group = criterion.benchmark_group("message");
    for (name, message) in [
        ("beat", Message::Beat { lag_ms: 3, is_stuck: false, dead: Vec::new() }),
        ("joined", Message::Joined { member: member(7) }),
        ("64 members", Message::Members { request: 1, members }),
    ] {
        let bytes = message.to_bytes(EPOCH);
        let frame = frame(&bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("write {name}"), |bencher| bencher.iter(|| message.to_bytes(EPOCH)));
        group.bench_function(format!("read {name}"), |bencher| {
            bencher.iter(|| Message::from_frame(&frame).unwrap());
        });
    }
    group.finish();
    parcels(criterion);
}

fn parcels(criterion: &mut Criterion) {
    let ask = Parcel::Ask {
        gather: GatherId(7),
        name: "*ReportService.refresh".into(),
        until: EPOCH.0,
        from: member(7),
        carrier: None,
        json: false,
    };
    let mut group = criterion.benchmark_group("parcel");
    for (name, parcel, size) in [
        ("question", ask, 64),
        ("answer", Parcel::Answer { gather: GatherId(7), status: 0 }, 1024),
        ("snapshot", Parcel::Snapshot { scrape: None }, SNAPSHOT),
    ] {
        let body = Body { codec: Codec::Bytes, bytes: Bytes::from(vec![7; size]) };
        let frame = frame(&parcel.to_bytes(EPOCH, &body).unwrap());
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("write {name}"), |bencher| {
            bencher.iter(|| parcel.to_bytes(EPOCH, &body).unwrap());
        });
        group.bench_function(format!("read {name}"), |bencher| {
            bencher.iter(|| Parcel::from_frame(frame.clone()).unwrap());
        });
    }
    group.finish();
}

fn member(id: u32) -> MemberInfo {
    MemberInfo { id: MemberId(id), joined_at: EPOCH.0, started_at: EPOCH.0, ..MemberInfo::of(40_000 + id) }
}

fn frame(bytes: &[u8]) -> Frame {
    whole(bytes.to_vec(), bytes.len()).unwrap()
}
