//! Whose an abstract socket name is, as the kernel tells over netlink (`sock_diag(7)`): also of a socket that does not
//! listen, or takes no connection, to which nobody can connect to see its credentials.

use std::io;
use std::mem::MaybeUninit;

use rustix::net::{
    netlink, recv, send, socket_with, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
};

/// `SOCK_DIAG_BY_FAMILY`, the request.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR` and `NLMSG_DONE`, the ends of an answer.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const FLAGS: u16 = 0x301;
/// The states of a socket that is bound and does not listen, and of one that listens, as bits (`TCP_CLOSE`, `TCP_LISTEN`).
/// The many that are connected are left out by the kernel.
const STATES: u32 = 1 << 7 | 1 << 10;
/// `UDIAG_SHOW_NAME | UDIAG_SHOW_UID`.
const SHOW: u32 = 0x41;
/// The attributes that hold them (`UNIX_DIAG_NAME`, `UNIX_DIAG_UID`).
const NAME: u16 = 0;
const UID: u16 = 7;
/// The sizes of `nlmsghdr`, `unix_diag_msg` and `nlattr`.
const HEADER: usize = 16;
const BODY: usize = 16;
const ATTRIBUTE: usize = 4;
/// How many bytes of an answer are looked at: what lies behind them is not found.
const MOST: usize = 8 * 1024 * 1024;

/// The user whose process has bound the abstract `name`; `None` where none has.
///
/// # Errors
/// When the kernel does not tell: Linux before 5.3, or built without `unix_diag`.
pub fn of_name(name: &str) -> io::Result<Option<u32>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut space = vec![MaybeUninit::<u8>::uninit(); 64 * 1024];
    let mut seen = 0;
    while seen < MOST {
        // The kernel writes each part of the answer while the one before is read: there is nothing to wait for.
        let ((part, _), _) = recv(&socket, space.as_mut_slice(), RecvFlags::empty())?;
        seen += part.len().max(1);
        match find(part, name.as_bytes())? {
            Found::Owner(owner) => return Ok(Some(owner)),
            Found::End => return Ok(None),
            Found::Nothing => {}
        }
    }
    Err(io::ErrorKind::FileTooLarge.into())
}

enum Found {
    Owner(u32),
    End,
    Nothing,
}

fn request() -> Vec<u8> {
    let length = 40_u32;
    let mut bytes = Vec::with_capacity(length as usize);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(FLAGS.to_ne_bytes());
    // A sequence number, and the sender, which the kernel knows.
    bytes.extend([0; 8]);
    // The family, the protocol and two bytes that pad.
    bytes.extend([u8::try_from(AddressFamily::UNIX.as_raw()).unwrap_or(1), 0, 0, 0]);
    bytes.extend(STATES.to_ne_bytes());
    // No single inode.
    bytes.extend([0; 4]);
    bytes.extend(SHOW.to_ne_bytes());
    // No cookie.
    bytes.extend([0; 8]);
    bytes
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Looks through one part of an answer, which is a list of messages.
fn find(mut part: &[u8], name: &[u8]) -> io::Result<Found> {
    while let (Some(length), Some(kind)) = (number(part, 0), number(part, 4)) {
        let length = u32::from_ne_bytes(length) as usize;
        let Some(message) = part.get(..length).filter(|_| length >= HEADER) else { break };
        match u16::from_ne_bytes(kind) {
            DONE => return Ok(Found::End),
            ERROR => return Err(io::ErrorKind::Unsupported.into()),
            _ => {}
        }
        if let Some(attributes) = message.get(HEADER + BODY..) {
            if value(attributes, NAME).and_then(|bound| bound.strip_prefix(b"\0")) == Some(name) {
                let owner = value(attributes, UID).and_then(|owner| number(owner, 0)).map(u32::from_ne_bytes);
                return owner.map(Found::Owner).ok_or(io::ErrorKind::Unsupported.into());
            }
        }
        part = part.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(Found::Nothing)
}

/// The value of an attribute in a list of attributes.
fn value(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(number(attributes, 0)?));
        let kind = u16::from_ne_bytes(number(attributes, 2)?);
        let value = attributes.get(ATTRIBUTE..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}
