//! Whether a request is meant for this endpoint, as `ts/engine/admin-host.ts` has it; `__test__/support/hosts.json` holds
//! both to it. No I/O.
//!
//! A page in a browser can give its own *name* the address of this host (DNS rebinding) and then read what is answered.
//! The browser still says that name in `Host`. So a name must be known, and an address need not be: a page that is
//! loaded from an address is not from elsewhere. Ports are not compared: one may be passed on under another number.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::HOST;
use hyper::{HeaderMap, Uri, Version};

/// The name that each host has for itself.
const LOCALHOST: &str = "localhost";

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It can be read in more than one way, or in none.
    Ambiguous(&'static str),
    /// It is for another host.
    Foreign,
}

/// Checks what a request says of its host. `known`: names besides `localhost`, in lower case.
pub fn check(version: Version, uri: &Uri, headers: &HeaderMap, known: &[String]) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Ambiguous("a request names one host\n"));
    }
    let host = match first {
        Some(host) => host.to_str().ok().and_then(read).map(Some),
        None => Some(None),
    };
    let Some(host) = host else { return Err(Refusal::Ambiguous("the host is no name or address\n")) };
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Refusal::Ambiguous("a request of HTTP/1.1 names a host\n"));
    }
    let target = uri.authority().and_then(|authority| read(authority.as_str()));
    if uri.authority().is_some() {
        let is_same = target.is_some() && (host.is_none() || host == target);
        if uri.scheme_str().is_some_and(|scheme| scheme != "http") || !is_same {
            return Err(Refusal::Ambiguous("the target and the host differ\n"));
        }
    }
    match host.or(target) {
        Some(Host { name: Name::Other(name), .. }) if name != LOCALHOST && !known.contains(&name) => {
            Err(Refusal::Foreign)
        }
        _ => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Host {
    name: Name,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// In lower case, without a dot at its end.
    Other(String),
}

/// A name or an address, with or without a port.
fn read(text: &str) -> Option<Host> {
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        (Name::V6(address.parse().ok()?), port.strip_prefix(':').or(port.is_empty().then_some(""))?)
    } else {
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        (name.parse().map_or(Name::Other(name), Name::V4), port)
    };
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    Some(Host { name, port })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use hyper::header::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Hosts {
        hosts: Vec<String>,
        heads: Vec<Head>,
    }

    #[derive(Deserialize)]
    struct Head {
        what: String,
        #[serde(default)]
        version: Option<String>,
        #[serde(default)]
        target: Option<String>,
        host: Vec<String>,
        status: u16,
    }

    #[test]
    fn a_host_is_known_foreign_or_ambiguous() {
        let Hosts { hosts, heads } =
            serde_json::from_str(include_str!("../../__test__/support/hosts.json")).unwrap();
        assert!(!heads.is_empty());
        for Head { what, version, target, host, status } in heads {
            let version = version.map_or(Version::HTTP_11, |_| Version::HTTP_10);
            let uri: Uri = target.as_deref().unwrap_or("/live").parse().unwrap();
            let mut headers = HeaderMap::new();
            for each in host {
                headers.append(HOST, HeaderValue::from_str(&each.replace("{port}", "9400")).unwrap());
            }
            let said = match check(version, &uri, &headers, &hosts) {
                Ok(()) => 200,
                Err(Refusal::Ambiguous(_)) => 400,
                Err(Refusal::Foreign) => 421,
            };
            assert_eq!(said, status, "{what}");
        }
    }
}
