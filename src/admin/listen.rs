//! Takes the endpoint's port. The primary before may still have it, for as long as the kernel takes to end a process, and
//! somebody else may have it for ever: so it is tried again and again.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpSocket};
use tracing::{info, warn};

/// For how long a port that is taken is nothing to speak of.
const QUIET: Duration = Duration::from_secs(2);
/// How often it is tried in that time, and afterwards.
const EAGER: Duration = Duration::from_millis(20);
const PATIENT: Duration = Duration::from_millis(250);
/// Clients that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens at `address`, as soon as that is possible. Says once why it is not.
pub(super) async fn listen(address: SocketAddr) -> TcpListener {
    let began = Instant::now();
    let mut said = None;
    loop {
        match bind(address) {
            Ok(listener) => {
                info!("the admin endpoint is http://{address} (/metrics, /health, /live, /members)");
                return listener;
            }
            Err(error) => {
                let kind = error.kind();
                let may_pass = kind == ErrorKind::AddrInUse && began.elapsed() < QUIET;
                if !may_pass && said != Some(kind) {
                    said = Some(kind);
                    warn!(
                        "the admin endpoint can't listen on {address}, and tries again: {}",
                        in_words(&error)
                    );
                }
            }
        }
        tokio::time::sleep(if began.elapsed() < QUIET { EAGER } else { PATIENT }).await;
    }
}

/// # Platform-specific behaviour
/// Unix: connections of the primary before, which are ending, are not in the way. Windows: the same without an option;
/// the option of that name would take the port away from whoever has it.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn in_words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another process has that port; end it, or give each group a \
                                 processAgent.admin.port of its own"
            .to_owned(),
        ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 are not for everybody, choose another processAgent.admin.port")
        }
        ErrorKind::AddrNotAvailable => {
            format!("{error}; processAgent.admin.host must be an address of this host")
        }
        _ => error.to_string(),
    }
}
