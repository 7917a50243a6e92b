//! What no call can be faster than while both processes sleep: two of them that do nothing but read and write a socket,
//! without an event loop. Prints `{"p50":51.2,"p99":75.9}`: microseconds there and back.
//! `cargo bench --bench bare -- 1000` measures for 1000 ms, `benchmark/peers/bare.js` beside the others.

#[cfg(unix)]
fn main() {
    unix::main();
}

#[cfg(not(unix))]
fn main() {
    println!("not measured here: it needs a socket pair");
}

#[cfg(unix)]
#[expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
mod unix {
    use std::io::{stdin, Read, Write};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    /// As large as a frame with one call that has small arguments.
    const FRAME: usize = 100;
    /// How the process is called that answers.
    const ANSWERS: &str = "answers";

    pub fn main() {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if arguments.iter().any(|argument| argument == ANSWERS) {
            answer();
        } else {
            let milliseconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(1000);
            measure(Duration::from_millis(milliseconds));
        }
    }

    /// Sends back what comes, until nothing does.
    fn answer() {
        let mut socket = UnixStream::from(stdin().as_fd().try_clone_to_owned().unwrap());
        let mut frame = [0; FRAME];
        while socket.read_exact(&mut frame).is_ok() {
            socket.write_all(&frame).unwrap();
        }
    }

    fn measure(duration: Duration) {
        let (mut socket, theirs) = UnixStream::pair().unwrap();
        let mut other = Command::new(std::env::current_exe().unwrap())
            .arg(ANSWERS)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let mut frame = [1; FRAME];
        let mut times = Vec::new();
        // Until the other process has started.
        socket.write_all(&frame).unwrap();
        socket.read_exact(&mut frame).unwrap();
        let end = Instant::now() + duration;
        loop {
            let began = Instant::now();
            if began >= end {
                break;
            }
            socket.write_all(&frame).unwrap();
            socket.read_exact(&mut frame).unwrap();
            times.push(began.elapsed());
        }
        drop(socket);
        other.wait().unwrap();
        times.sort_unstable();
        let micros = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        println!("{{\"p50\":{:.2},\"p99\":{:.2}}}", micros(50), micros(99));
    }
}
