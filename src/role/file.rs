//! Opens the files in a group's folder. What stands under a file's name is opened only when it is a regular file with one
//! name: a fifo would block the agent's thread while it holds the lock, and a link could lead to a file of somebody else's.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file to read it.
///
/// # Errors
/// When there is none, or it is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens a file to read and write it, and makes it with mode 0600 where there is none.
///
/// # Errors
/// When it can't be made, or is no regular file.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))
}

/// Makes a file with mode 0600, which must not be there yet.
///
/// # Errors
/// When it can't be made.
pub fn create_new(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().write(true).create_new(true))
}

/// Removes a file; one that is not there is removed already.
///
/// # Errors
/// When it can't be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // Without NONBLOCK, opening a fifo waits for its other end.
        let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    check(&file)?;
    #[cfg(target_os = "linux")]
    give_to_owner_of_folder(&file, path)?;
    Ok(file)
}

fn check(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file; remove it"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&found) > 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has a second name elsewhere; remove it"));
    }
    Ok(())
}

/// What root makes in another user's folder is for that user's processes, too.
#[cfg(target_os = "linux")]
fn give_to_owner_of_folder(file: &File, path: &Path) -> io::Result<()> {
    match other_owner_of_folder(path)? {
        Some(owner) => std::os::unix::fs::fchown(file, Some(owner), None),
        None => Ok(()),
    }
}

/// As files, a socket that was just bound.
///
/// # Errors
/// When it can't be given away, or something else is at its path by now.
#[cfg(target_os = "linux")]
pub fn give_socket_to_owner_of_folder(path: &Path) -> io::Result<()> {
    use rustix::fs::{chownat, fstat, open, AtFlags, FileType, Mode, OFlags, Uid};

    let Some(owner) = other_owner_of_folder(path)? else { return Ok(()) };
    // The owner of the folder can put a link to any file there: nothing but a socket with one name is given away.
    let socket = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&socket)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket || found.st_nlink != 1 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "something else was put in the socket's place",
        ));
    }
    Ok(chownat(&socket, "", Some(Uid::from_raw(owner)), None, AtFlags::EMPTY_PATH)?)
}

/// The owner of the folder of `path`, where this process is root's and the folder another user's.
#[cfg(target_os = "linux")]
fn other_owner_of_folder(path: &Path) -> io::Result<Option<u32>> {
    let Some(folder) = path.parent().filter(|_| rustix::process::geteuid().is_root()) else {
        return Ok(None);
    };
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::symlink_metadata(folder)?);
    Ok((owner != 0).then_some(owner))
}

/// For tests: not every system has the call.
#[cfg(all(test, unix))]
pub(super) fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "{}", path.display());
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        make_fifo(&at("fifo"));
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("elsewhere"), "").unwrap();
        symlink(at("elsewhere"), at("link")).unwrap();
        fs::write(at("first"), "").unwrap();
        fs::hard_link(at("first"), at("second")).unwrap();
        for name in ["fifo", "folder", "link", "second"] {
            assert!(open(&at(name)).is_err(), "{name}");
            assert!(open_or_create(&at(name)).is_err(), "{name}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_is_made_for_its_user_alone_and_for_the_owner_of_the_folder_where_root_makes_it() {
        use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let owner =
            if rustix::process::geteuid().is_root() { 65534 } else { rustix::process::geteuid().as_raw() };
        chown(folder.path(), Some(owner), None).unwrap();
        create_new(&path).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.uid()), (0o600, owner));
    }
}
