//! Memory that another process has written as it likes: what is read of it stays within it, and nothing panics.
#![no_main]

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use process_agent::ipc::frame::whole;
use process_agent::ipc::lane::memory::Memory;
use process_agent::ipc::lane::ring::{Reader, Writer};

/// As much as the targets' inputs may have: positions, and the beginning of one ring.
const IMAGE: usize = 4096;

fuzz_target!(|data: &[u8]| {
    static SHARED: OnceLock<(Memory, OwnedFd)> = OnceLock::new();
    let (memory, file) = SHARED.get_or_init(|| Memory::create().expect("memory"));
    let mut image = [0; IMAGE];
    let length = data.len().min(IMAGE);
    image[..length].copy_from_slice(&data[..length]);
    rustix::io::pwrite(file, &image, 0).expect("it is written");

    for ring in [memory.calls(), memory.replies()] {
        let (mut reader, mut writer) = (Reader::default(), Writer::default());
        // Whatever the memory says, it ends: each record moves the reader on, and no number comes twice.
        for number in 1.. {
            let _ = reader.has(ring, number);
            if reader.look(ring).is_err() {
                break;
            }
            let Ok(Some(bytes)) = reader.take(ring, number) else { break };
            assert!(bytes.len() <= 16 * 1024);
            let _ = whole(bytes, 4096);
            let _ = writer.push(ring, number, [1; 16], b"more");
            if number > 4096 {
                break;
            }
        }
        let _ = reader.sleep(ring, 1);
        let _ = writer.revoke(ring);
    }
});
