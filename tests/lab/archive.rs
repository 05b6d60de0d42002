//! The archives that a kernel unpacks as initramfs: cpio, "newc", written without being root.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// An archive in the making. Kernels take several behind one another; a later file wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

impl Archive {
    /// Adds a file and the folders above it; the path begins with a slash.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.folders_above(path);
        self.entry(path, FILE | mode, content);
    }

    /// Adds a file of this system under the path that it has here, whatever links lead to it.
    pub(crate) fn copy(&mut self, path: &str) -> io::Result<()> {
        self.copy_to(Path::new(path), path)
    }

    /// Adds a file of this system under another path.
    pub(crate) fn copy_to(&mut self, from: &Path, path: &str) -> io::Result<()> {
        let named = |error| io::Error::other(format!("cannot read {}: {error}", from.display()));
        let mode = fs::metadata(from).map_err(named)?.permissions().mode() & 0o777;
        self.file(path, mode, &fs::read(from).map_err(named)?);
        Ok(())
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("/TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn folders_above(&mut self, path: &str) {
        for (end, _) in path.match_indices('/').skip(1) {
            if self.folders.insert(path[..end].to_owned()) {
                self.entry(&path[..end], FOLDER, &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        let name = path.trim_start_matches('/');
        self.entries += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            content.len().try_into().unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len()).unwrap_or(u32::MAX) + 1,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}
