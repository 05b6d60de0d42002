//! Files of bridges that are left as they are, since somebody changed one of the bridge's files.

use crate::guest::bridge;
use crate::id::TargetPath;
use crate::root::Root;
use crate::step::FileState;

/// Those of `files` that belong to such a bridge, by what is no longer as it was written.
pub(super) fn among<'a>(
    target: &Root,
    drifted: &[TargetPath],
    files: impl IntoIterator<Item = &'a TargetPath>,
) -> Vec<TargetPath> {
    // What is no file any more, or cannot be seen, is somebody's.
    let is_gone = |path: &TargetPath| matches!(target.file_state(path.as_str()), Ok(FileState::Absent));
    let left = bridge::left(drifted, is_gone);
    let is_left = |path: &&TargetPath| bridge::of(path.as_str()).is_some_and(|one| left.contains_key(one));
    files.into_iter().filter(is_left).cloned().collect()
}
