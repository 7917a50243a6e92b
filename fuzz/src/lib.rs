//! What the targets share: each feeds one decoder with bytes that libFuzzer makes up, see `npm run fuzz`.

use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A folder of this process, for a target that reads files.
///
/// # Panics
/// When none can be made.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder")).path()
}
