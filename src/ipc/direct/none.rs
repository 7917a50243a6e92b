//! In place of `unix.rs`: there is none.

use interprocess::local_socket::tokio::Stream;

use crate::error::Result;

/// Has no values.
#[derive(Debug)]
pub enum Direct {}

impl Direct {
    /// None.
    #[must_use]
    pub fn of(_stream: &Stream) -> Option<Result<Self>> {
        None
    }

    /// Not called.
    #[must_use]
    pub fn write_now(&self, _first: &[u8], _second: &[u8]) -> usize {
        match *self {}
    }

    /// Not called.
    pub fn make_room(&self, _bytes: usize) {
        match *self {}
    }

    /// Not called.
    pub fn shut_down(&self) {
        match *self {}
    }

    /// Not called.
    pub fn hang_up(&self) {
        match *self {}
    }

    /// Not called.
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        match *self {}
    }

    /// Not called.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        match *self {}
    }
}
