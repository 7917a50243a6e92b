//! The frame codec.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};

use process_agent::ipc::frame::{encode, header, Codec, FrameReader, Kind};
use process_agent::role::Epoch;

const EPOCH: Epoch = Epoch(1_790_000_000_123);
/// What a batch of one small call is.
const SMALL: &[u8] = br#"[17,"ReportService.create",[1,"x",{"a":1}]]"#;
const MANY: usize = 1000;
const LARGE: usize = 1024 * 1024;
/// What one read of a socket gives at the most.
const READ: usize = 64 * 1024;

pub fn frames(criterion: &mut Criterion) {
    encoding(criterion);
    reading(criterion);
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.bench_function("header", |bencher| {
        bencher.iter(|| header(Kind::Calls, Codec::Text, EPOCH, 0, black_box(SMALL.len())));
    });
    group.throughput(Throughput::Bytes(SMALL.len() as u64));
    group.bench_function("small frame", |bencher| {
        let mut out = Vec::with_capacity(1024);
        bencher.iter(|| {
            out.clear();
            encode(&mut out, Kind::Calls, Codec::Text, EPOCH, black_box(SMALL));
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let many = stream(MANY, SMALL, Codec::Text);
    let one = stream(1, SMALL, Codec::Text);
    let text = stream(1, &vec![b'x'; LARGE], Codec::Text);
    let bytes = stream(1, &vec![b'x'; LARGE], Codec::Bytes);
    let mut group = criterion.benchmark_group("reader");
    for (name, stream, frames, piece) in [
        ("1000 small frames", &many, MANY, READ),
        ("1000 small frames, byte by byte", &many, MANY, 1),
        ("one small frame", &one, 1, READ),
        ("one of 1 MiB, text", &text, 1, READ),
        ("one of 1 MiB, bytes", &bytes, 1, READ),
    ] {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || FrameReader::new(2 * LARGE),
                |reader| assert_eq!(read(reader, stream, piece), frames),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn stream(frames: usize, payload: &[u8], codec: Codec) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..frames {
        encode(&mut out, Kind::Calls, codec, EPOCH, payload);
    }
    out
}

/// How many frames there are, when `stream` arrives in pieces.
fn read(reader: &mut FrameReader, stream: &[u8], piece: usize) -> usize {
    let mut frames = 0;
    for bytes in stream.chunks(piece) {
        reader.space().extend_from_slice(bytes);
        while let Some(frame) = reader.next_frame().unwrap() {
            black_box(frame);
            frames += 1;
        }
    }
    frames
}
