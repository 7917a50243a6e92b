//! Makes a folder that only this user can enter, or says why the one that is there can't be trusted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{AgentError, Result};
use crate::role::group::excess_of_socket_path;
use crate::role::user::User;

fn refuse(path: &Path, reason: impl Into<String>) -> AgentError {
    AgentError::RuntimeDir { path: PathBuf::from(path), reason: reason.into() }
}

/// Makes the runtime folder and the group's folder in it, each with mode 0700, and checks both.
///
/// # Errors
/// [`AgentError::RuntimeDir`] when one can't be made, is no folder, belongs to somebody else, others may write it, or the
/// path is too long for a socket in it.
pub fn prepare(runtime_dir: &Path, group_folder: &Path, user: User) -> Result<()> {
    if !runtime_dir.is_absolute() {
        return Err(refuse(runtime_dir, "it is no absolute path"));
    }
    if let Some(excess) = excess_of_socket_path(runtime_dir, group_folder) {
        return Err(refuse(runtime_dir, excess));
    }
    make(runtime_dir, user)?;
    make(group_folder, user)
}

/// Why a process that has changed its user since it joined can't come back into its group, if it can't.
#[must_use]
pub fn lost_by_change_of_user(group_folder: &Path, user: User) -> Option<AgentError> {
    let now = user.changed_to()?;
    (!can_use(group_folder)).then(|| {
        refuse(
            group_folder,
            format!(
                "this process runs as user {now} now, and has joined a group whose folder belongs to user {user}: it stays \
                 in the group until the group's primary changes, and can't lead it or come back; set processAgent.user \
                 to {now}, or change the user before the application starts"
            ),
        )
    })
}

/// Whether this process may read, write and enter the folder, as the user that it is now.
#[cfg(unix)]
fn can_use(path: &Path) -> bool {
    use rustix::fs::{accessat, Access, AtFlags, CWD};
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    // The effective user's rights, where the system can tell them from the real user's.
    match accessat(CWD, path, all, AtFlags::EACCESS) {
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => rustix::fs::access(path, all).is_ok(),
        may => may.is_ok(),
    }
}

#[cfg(not(unix))]
fn can_use(_path: &Path) -> bool {
    true
}

#[cfg(unix)]
fn make(path: &Path, user: User) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => give_to(path, user).map_err(|error| refuse(path, error.to_string()))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            let hint = "make its parent folder writable for this user, or set processAgent.runtimeDir to a folder that is";
            return Err(refuse(path, format!("it can't be made ({error}); {hint}")));
        }
    }
    // Not followed: a link that somebody else owns could lead anywhere.
    let found = fs::symlink_metadata(path).map_err(|error| refuse(path, error.to_string()))?;
    let own = user.id();
    if !found.is_dir() {
        return Err(refuse(path, "it is no folder; remove it, or set processAgent.runtimeDir"));
    }
    if found.uid() != own {
        let owner = found.uid();
        return Err(refuse(
            path,
            format!("it belongs to user {owner}, this process runs as user {own}; remove it, or set processAgent.runtimeDir"),
        ));
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o777;
        return Err(refuse(path, format!("others may write it (mode {mode:o}); run chmod 700 on it")));
    }
    if !can_use(path) {
        return Err(refuse(
            path,
            "this process can't write it; mount it writable, or set processAgent.runtimeDir",
        ));
    }
    Ok(())
}

/// A folder that root has made in another user's folder is that user's.
#[cfg(unix)]
fn give_to(path: &Path, user: User) -> io::Result<()> {
    use std::os::unix::fs::{fchown, MetadataExt, OpenOptionsExt};

    let flags = rustix::fs::OFlags::DIRECTORY.union(rustix::fs::OFlags::NOFOLLOW);
    let folder = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if folder.metadata()?.uid() == user.id() {
        return Ok(());
    }
    fchown(&folder, Some(user.id()), None)
}

#[cfg(not(unix))]
fn make(path: &Path, _user: User) -> Result<()> {
    // The parent is the user's own application data, whose access list is inherited.
    match fs::create_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refuse(path, format!("it can't be made ({error}); set processAgent.runtimeDir"))),
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    #[test]
    fn a_missing_folder_is_made_for_this_user_alone() {
        let base = tempfile::tempdir().unwrap();
        let runtime = base.path().join("runtime");
        prepare(&runtime, &runtime.join("group"), User::current()).unwrap();
        assert_eq!(fs::metadata(runtime.join("group")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused_by_name() {
        let base = tempfile::tempdir().unwrap();
        let runtime = base.path().join("runtime");
        fs::create_dir(&runtime).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o777)).unwrap();
        let error = prepare(&runtime, &runtime.join("group"), User::current()).unwrap_err();
        assert!(error.to_string().contains("others may write it (mode 777)"), "{error}");
        assert_eq!(error.code(), "ERR_AGENT_RUNTIME_DIR");
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let runtime = base.path().join("runtime");
        symlink(&elsewhere, &runtime).unwrap();
        let error = prepare(&runtime, &runtime.join("group"), User::current()).unwrap_err();
        assert!(error.to_string().contains("no folder"), "{error}");
    }

    #[test]
    fn a_path_that_is_too_long_for_a_socket_is_refused_before_anything_is_made() {
        let base = tempfile::tempdir().unwrap();
        let runtime = base.path().join("r".repeat(100));
        let error = prepare(&runtime, &runtime.join("group"), User::current()).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
        assert_eq!(error.code(), "ERR_AGENT_RUNTIME_DIR");
        assert!(!runtime.exists());
    }

    #[test]
    fn a_relative_path_is_refused() {
        let error = prepare(Path::new("run"), Path::new("run/group"), User::current()).unwrap_err();
        assert!(error.to_string().contains("no absolute path"), "{error}");
    }
}
