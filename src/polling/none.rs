//! In place of `poller.rs` where the event loop can't poll sockets: there is never a poller.

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint8Array};
use napi::Result;

use super::{Poll, Polling};
use crate::callback::OnFrame;
use crate::ipc::lane::{Lane, ReadBy};
use crate::ipc::message::Final;
use crate::NativeAgentOptions;

/// Has no values.
pub enum Poller {}

impl Poll for Poller {
    fn start(
        _env: Env,
        _options: &NativeAgentOptions,
        _on_frame: &OnFrame<'_>,
        _telling: Uint8Array,
        _inbox: Uint8Array,
    ) -> Result<Polling> {
        Ok(Polling::default())
    }

    fn read_by(&self) -> ReadBy {
        match *self {}
    }

    fn spins(&self) -> bool {
        match *self {}
    }

    fn read(self: &Rc<Self>, _lane: Arc<Lane>) {
        match **self {}
    }

    fn resume(&self, _lane: u32) {
        match *self {}
    }

    fn refuse(&self, _lane: u32, _reason: String) {
        match *self {}
    }

    fn sends(&self, _lane: u32) {
        match *self {}
    }

    fn finish(&self, _lane: u32) -> Option<Final> {
        match *self {}
    }

    fn close(&self) {
        match *self {}
    }
}
