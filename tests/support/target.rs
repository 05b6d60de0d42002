//! Target roots: small installed systems under `tests/targets`.
//!
//! Each is a folder with `layout.json` and, where it has files of its own, `root/`. A variant
//! names its `base` and holds only what differs. What git does not keep (empty folders, modes
//! other than 0644 and 0755) stands in `layout.json`. What depmod and the
//! kernel's package would add beside the `modules.*` texts is made from those at every copy.

mod module_index;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde::Deserialize;

use crate::{at, make_folder, write};

/// What `layout.json` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    /// What this target is, in a line.
    #[serde(rename = "summary")]
    _summary: String,
    /// The target that this one is a variant of.
    base: Option<String>,
    /// Paths of the base that this variant lacks.
    #[serde(default)]
    remove: Vec<String>,
    /// Folders that are empty.
    #[serde(default)]
    empty: Vec<String>,
    /// Path to where the symlink there points.
    #[serde(default)]
    links: BTreeMap<String, String>,
    /// Path to the octal mode, where it is not what git keeps.
    #[serde(default)]
    modes: BTreeMap<String, String>,
}

/// The names of all targets, sorted.
pub fn names() -> io::Result<Vec<String>> {
    crate::names_with(&crate::tests_folder().join("targets"), "layout.json")
}

/// Copies the target called `name` into `into`, which is made.
pub fn copy(name: &str, into: &Path) -> io::Result<()> {
    copy_layers(name, into)?;
    let kernels = into.join("usr/lib/modules");
    for kernel in if kernels.is_dir() { crate::names_with(&kernels, "modules.dep")? } else { Vec::new() } {
        module_index::complete(&kernels.join(kernel))?;
    }
    Ok(())
}

fn copy_layers(name: &str, into: &Path) -> io::Result<()> {
    let folder = crate::tests_folder().join("targets").join(name);
    let file = folder.join("layout.json");
    let layout: Layout = fs::read_to_string(&file)
        .and_then(|text| serde_json::from_str(&text).map_err(io::Error::from))
        .map_err(|error| at(&file, "read the layout", &error))?;
    match &layout.base {
        Some(base) => copy_layers(base, into)?,
        None => make_folder(into)?,
    }
    for path in &layout.remove {
        remove(&into.join(path))?;
    }
    if folder.join("root").is_dir() {
        copy_below(&folder.join("root"), into)?;
    }
    for path in &layout.empty {
        make_folder(&into.join(path))?;
    }
    for (path, to) in &layout.links {
        let link = into.join(path);
        make_folder(link.parent().unwrap_or(into))?;
        symlink(to, &link).map_err(|error| at(&link, "make the link", &error))?;
    }
    for (path, mode) in &layout.modes {
        let path = into.join(path);
        let mode = u32::from_str_radix(mode, 8)
            .map_err(|error| at(&path, "use the mode of", &io::Error::other(error)))?;
        fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(|error| at(&path, "set the mode of", &error))?;
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path).map_err(|error| at(path, "take away", &error))?;
    if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Copies files with the two modes that git keeps, whatever the umask was at the checkout.
fn copy_below(from: &Path, into: &Path) -> io::Result<()> {
    make_folder(into)?;
    fs::set_permissions(into, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from).map_err(|error| at(from, "list", &error))? {
        let source = entry?.path();
        let Some(name) = source.file_name() else { continue };
        let copy = into.join(name);
        let meta = fs::symlink_metadata(&source)?;
        if meta.is_dir() {
            copy_below(&source, &copy)?;
        } else {
            write(&copy, fs::read(&source).map_err(|error| at(&source, "read", &error))?)?;
            let mode = if meta.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            fs::set_permissions(&copy, Permissions::from_mode(mode))?;
        }
    }
    Ok(())
}
