//! From a group's key to its folder and its addresses.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::role::user::User;

/// How many characters of a group's name its folder shows, for people who look.
const SHOWN: usize = 24;
/// The namespaces that a group never crosses. Only Linux has them.
const NAMESPACES: &[&str] = if cfg!(target_os = "linux") { &["pid", "net"] } else { &[] };

/// What makes a group the same in all its members and different from every other: the key of its deployment, the
/// user, and on Linux the pid and network namespaces, which a group never crosses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKey {
    name: String,
    hash: String,
}

impl GroupKey {
    /// The key of a group of this process's user, for `name` (as people read it) and `key` (what tells groups apart) in
    /// this process's surroundings.
    #[must_use]
    pub fn new(name: &str, key: &str) -> Self {
        Self::of_user(User::current(), name, key)
    }

    /// As [`Self::new`], of another user.
    #[must_use]
    pub fn of_user(user: User, name: &str, key: &str) -> Self {
        Self::within(name, key, &surroundings(user))
    }

    fn within(name: &str, key: &str, surroundings: &[String]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(key).chain(surroundings.iter().map(String::as_str)) {
            // The length goes in front, so that no two lists of parts read the same.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hash =
            hasher.finalize().iter().take(8).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let name = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' })
            .take(SHOWN)
            .collect::<String>();
        Self { name, hash }
    }

    /// The group's folder below `runtime_dir`.
    #[must_use]
    pub fn folder(&self, runtime_dir: &Path) -> PathBuf {
        runtime_dir.join(format!("{}-{}", self.name, self.hash))
    }
}

/// What a group never crosses.
fn surroundings(user: User) -> Vec<String> {
    let namespaces = NAMESPACES.iter().map(|namespace| {
        let link = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap_or_default();
        link.to_string_lossy().into_owned()
    });
    std::iter::once(format!("user {user}")).chain(namespaces).collect()
}

/// The folder that holds the groups' folders of `user`, unless configured: fixed per user id, whatever the environment of the
/// shell that started the process.
///
/// # Platform-specific behaviour
/// Unix: below `/tmp`, not `$TMPDIR`, which differs between shells. Windows: below the user's local application data.
#[must_use]
pub fn default_runtime_dir(user: User) -> PathBuf {
    #[cfg(unix)]
    {
        PathBuf::from(format!("/tmp/midway-process-agent-{user}"))
    }
    #[cfg(not(unix))]
    {
        let _ = user;
        let base = std::env::var_os("LOCALAPPDATA").map_or_else(std::env::temp_dir, PathBuf::from);
        base.join("midway-process-agent")
    }
}

/// The address of the primary's socket.
///
/// # Platform-specific behaviour
/// Unix: a file in the group's folder, whose mode keeps others out. Windows: a named pipe, named by the folder.
#[must_use]
pub fn socket_path(folder: &Path) -> PathBuf {
    #[cfg(unix)]
    {
        folder.join("socket")
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(format!(r"\\.\pipe\midway-process-agent-{}", digest_of(folder)))
    }
}

/// How many bytes a socket's path may have, without the zero that ends it.
#[cfg(target_os = "linux")]
const MAX_SOCKET_PATH: usize = 107;
/// How many bytes a socket's path may have, without the zero that ends it.
#[cfg(all(unix, not(target_os = "linux")))]
const MAX_SOCKET_PATH: usize = 103;

/// By how much the socket's path in `folder` is too long, in words that say how long `runtime_dir` may be.
///
/// # Platform-specific behaviour
/// Linux: a path has at most 107 bytes. Other Unix: 103. Windows: a pipe's name does not depend on the folder.
#[cfg(unix)]
#[must_use]
pub fn excess_of_socket_path(runtime_dir: &Path, folder: &Path) -> Option<String> {
    let length = |path: &Path| path.as_os_str().len();
    let (given, needed) = (length(runtime_dir), length(&socket_path(folder)));
    let excess = needed.checked_sub(MAX_SOCKET_PATH).filter(|excess| *excess > 0)?;
    // The name of the group's folder is cut to a length, so this is at least some tens of bytes.
    let allowed = given.saturating_sub(excess);
    Some(format!(
        "it has {given} bytes, {excess} too many: a socket's path has at most {MAX_SOCKET_PATH}, and the group's folder \
         and the socket in it take {}; set processAgent.runtimeDir to a path of at most {allowed} bytes",
        needed - given
    ))
}

/// By how much the socket's path is too long: a pipe's name does not depend on the folder.
#[cfg(not(unix))]
#[must_use]
pub fn excess_of_socket_path(_runtime_dir: &Path, _folder: &Path) -> Option<String> {
    None
}

/// A short name for a folder, for addresses that have no room for its path.
#[must_use]
pub fn digest_of(folder: &Path) -> String {
    let digest = Sha256::digest(folder.to_string_lossy().as_bytes());
    digest.iter().take(12).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_gives_the_same_folder() {
        assert_eq!(GroupKey::new("api", "pm2:x"), GroupKey::new("api", "pm2:x"));
    }

    #[test]
    fn keys_users_and_namespaces_tell_groups_apart() {
        let here = ["user 1".to_owned(), "net:[1]".to_owned()];
        let there = ["user 2".to_owned(), "net:[1]".to_owned()];
        let joined = ["user 1net:[1]".to_owned()];
        let key = GroupKey::within("api", "pm2:x", &here);
        assert_ne!(key, GroupKey::within("api", "pm2:y", &here));
        assert_ne!(key, GroupKey::within("api", "pm2:x", &there));
        assert_ne!(key, GroupKey::within("api", "pm2:x", &joined));
    }

    #[test]
    fn a_name_can_not_lead_out_of_the_runtime_folder() {
        let folder = GroupKey::new("../../etc/passwd", "k").folder(Path::new("/run/x"));
        assert_eq!(folder.parent(), Some(Path::new("/run/x")));
        assert!(!folder.to_string_lossy().contains(".."), "{folder:?}");
    }

    #[test]
    fn a_socket_path_fits_into_an_address() {
        let folder = GroupKey::new(&"n".repeat(300), "k").folder(&default_runtime_dir(User::current()));
        // 104 bytes on macOS, 108 on Linux, with the closing zero.
        assert!(socket_path(&folder).as_os_str().len() < 104);
    }

    #[cfg(unix)]
    #[test]
    fn a_runtime_folder_that_is_too_long_says_how_long_it_may_be() {
        let key = GroupKey::new("orders", "configured:orders");
        let excess = |length: usize| {
            let runtime_dir = PathBuf::from(format!("/{}", "d".repeat(length - 1)));
            excess_of_socket_path(&runtime_dir, &key.folder(&runtime_dir))
        };
        // The slash, `orders-` and 16 digits, and `/socket`.
        let allowed = MAX_SOCKET_PATH - 31;
        assert_eq!(excess(allowed), None);
        let told = excess(allowed + 3).unwrap_or_default();
        assert!(told.contains(&format!("it has {} bytes, 3 too many", allowed + 3)), "{told}");
        assert!(told.contains(&format!("at most {allowed} bytes")), "{told}");
    }
}
