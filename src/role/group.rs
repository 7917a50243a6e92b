//! From a group's key to its folder and its addresses.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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
    /// The key for `name` (as people read it) and `key` (what tells groups apart) in this process's surroundings.
    #[must_use]
    pub fn new(name: &str, key: &str) -> Self {
        Self::within(name, key, &surroundings())
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
fn surroundings() -> Vec<String> {
    let namespaces = NAMESPACES.iter().map(|namespace| {
        let link = std::fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap_or_default();
        link.to_string_lossy().into_owned()
    });
    std::iter::once(format!("user {}", user_id())).chain(namespaces).collect()
}

/// The user as the folder's owner and as peers see it.
#[cfg(unix)]
#[must_use]
pub fn user_id() -> String {
    rustix::process::geteuid().as_raw().to_string()
}

/// The user as the folder's owner and as peers see it.
#[cfg(not(unix))]
#[must_use]
pub fn user_id() -> String {
    format!(
        "{}-{}",
        std::env::var("USERDOMAIN").unwrap_or_default(),
        std::env::var("USERNAME").unwrap_or_default()
    )
}

/// The folder that holds the groups' folders, unless configured: fixed per user id, whatever the environment of the
/// shell that started the process.
///
/// # Platform-specific behaviour
/// Unix: below `/tmp`, not `$TMPDIR`, which differs between shells. Windows: below the user's local application data.
#[must_use]
pub fn default_runtime_dir() -> PathBuf {
    #[cfg(unix)]
    {
        PathBuf::from(format!("/tmp/midway-process-agent-{}", user_id()))
    }
    #[cfg(not(unix))]
    {
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
        let folder = GroupKey::new(&"n".repeat(300), "k").folder(&default_runtime_dir());
        // 104 bytes on macOS, 108 on Linux, with the closing zero.
        assert!(socket_path(&folder).as_os_str().len() < 104);
    }
}
