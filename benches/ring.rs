//! One frame from one end of a lane to the other: through shared memory, and over a socket. Both ends are awake, and on one
//! thread: what it costs to wake an end is not in it.

use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use criterion::Criterion;

use process_agent::ipc::frame::{encode, header, whole, Codec, FrameReader, Kind};
use process_agent::ipc::lane::memory::Memory;
use process_agent::ipc::lane::ring::{Pushed, Reader, Writer};
use process_agent::role::Epoch;

const EPOCH: Epoch = Epoch(1_790_000_000_123);

pub fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one way");
    for size in [64, 2048] {
        let payload = vec![b'x'; size];
        group.bench_function(format!("{size} B through memory"), |bencher| {
            let (memory, _file) = Memory::create().unwrap();
            let ring = memory.calls();
            Reader::wake(ring);
            let (mut writer, mut reader, mut number) = (Writer::default(), Reader::default(), 0);
            bencher.iter(|| {
                number += 1;
                let head = header(Kind::Calls, Codec::Text, EPOCH, 0, size);
                assert_eq!(writer.push(ring, number, head, black_box(&payload)), Pushed::Yes);
                reader.look(ring).unwrap();
                whole(reader.take(ring, number).unwrap().unwrap(), size).unwrap()
            });
        });
        group.bench_function(format!("{size} B over a socket"), |bencher| {
            let (mut out, mut inward) = UnixStream::pair().unwrap();
            let (mut reader, mut buffer) = (FrameReader::new(size), vec![0; 4096]);
            bencher.iter(|| {
                let mut bytes = Vec::with_capacity(4096);
                encode(&mut bytes, Kind::Calls, Codec::Text, EPOCH, black_box(&payload));
                out.write_all(&bytes).unwrap();
                loop {
                    let count = inward.read(&mut buffer).unwrap();
                    reader.space().extend_from_slice(&buffer[..count]);
                    if let Some(frame) = reader.next_frame().unwrap() {
                        break frame;
                    }
                }
            });
        });
    }
    group.finish();
}
