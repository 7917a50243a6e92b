//! The ring of `src/ipc/lane/ring.rs`, with atomics that try every order in which two threads can see each other's writes.
#![cfg(test)]

mod atomics {
    pub use loom::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};
}

#[path = "../../src/ipc/lane/ring.rs"]
mod ring;

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use ring::{Positions, Pushed, Reader, Ring, Writer};

const HEAD: [u8; 16] = *b"head of a frame.";

struct Memory {
    positions: Positions,
    words: Vec<AtomicU64>,
}

impl Memory {
    fn new(words: usize) -> Arc<Self> {
        let words = (0..words).map(|_| AtomicU64::new(0)).collect();
        let memory = Arc::new(Self { positions: Positions::default(), words });
        Reader::wake(memory.ring());
        memory
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.positions, &self.words)
    }
}

fn record(payload: &[u8]) -> Vec<u8> {
    [&HEAD[..], payload].concat()
}

/// What the reader finds, until it has `count` records.
fn read(reader: &mut Reader, memory: &Memory, count: u64) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for number in 1..=count {
        loop {
            reader.look(memory.ring()).unwrap();
            if let Some(bytes) = reader.take(memory.ring(), number).unwrap() {
                found.push(bytes);
                break;
            }
            thread::yield_now();
        }
    }
    found
}

#[test]
fn records_arrive_whole_and_in_order_also_where_the_ring_wraps() {
    loom::model(|| {
        // Room for one record and a half.
        let memory = Memory::new(8);
        let writing = Arc::clone(&memory);
        let writer = thread::spawn(move || {
            let mut writer = Writer::default();
            for (number, payload) in [(1, &b"first"[..]), (2, b"second")] {
                while writer.push(writing.ring(), number, HEAD, payload) != Pushed::Yes {
                    thread::yield_now();
                }
            }
        });
        let found = read(&mut Reader::default(), &memory, 2);
        assert_eq!(found, [record(b"first"), record(b"second")]);
        writer.join().unwrap();
    });
}

#[test]
fn a_reader_that_goes_to_sleep_sees_what_was_written_or_is_to_be_woken() {
    loom::model(|| {
        let memory = Memory::new(16);
        let writing = Arc::clone(&memory);
        let writer = thread::spawn(move || Writer::default().push(writing.ring(), 1, HEAD, b"x"));
        let reader = Reader::default();
        let sees = reader.sleep(memory.ring(), 1);
        match writer.join().unwrap() {
            Pushed::Yes => assert!(sees, "written to a reader that sleeps"),
            Pushed::No => assert!(!sees),
            Pushed::Unseen => {}
        }
    });
}

#[test]
fn a_record_is_never_both_taken_and_taken_back() {
    loom::model(|| {
        let memory = Memory::new(16);
        let mut writer = Writer::default();
        assert_eq!(writer.push(memory.ring(), 1, HEAD, b"one"), Pushed::Yes);
        assert_eq!(writer.push(memory.ring(), 2, HEAD, b"two"), Pushed::Yes);
        let reading = Arc::clone(&memory);
        let reader = thread::spawn(move || {
            let mut reader = Reader::default();
            reader.look(reading.ring()).unwrap();
            (1..=2).take_while(|number| reader.take(reading.ring(), *number).unwrap().is_some()).count()
                as u64
        });
        let first = writer.revoke(memory.ring()).unwrap_or(3);
        let taken = reader.join().unwrap();
        assert!(taken < first, "{taken} were taken, and {first} taken back");
        assert_eq!(Reader::default().take(memory.ring(), 1).unwrap(), None);
    });
}
