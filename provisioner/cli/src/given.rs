//! Files that somebody hands in: opened once, read whole, and where root follows them for the
//! running system only when nobody else can write them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use neuron_passthrough::root::Root;
use nix::fcntl::OFlag;

use crate::failure::Failure;

/// The largest answers file, plan or capture that is read; more is a mistake.
const LIMIT: u64 = 64 << 20;

/// An open file. What is asked of it later is asked of this very file, whatever its path names by
/// then.
#[derive(Debug)]
pub(crate) struct Given {
    file: File,
    path: PathBuf,
}

impl Given {
    /// Opens a regular file. Anything else is refused: a fifo would wait for somebody, a device may
    /// never end.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        Self::try_open(path).map_err(|error| Failure::file("read", path, error))
    }

    /// The same for a file that need not be there.
    pub(crate) fn open_if_there(path: &Path) -> Result<Option<Self>, Failure> {
        match Self::try_open(path) {
            Ok(given) => Ok(Some(given)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file("read", path, error)),
        }
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        // Without a writer the opening of a fifo would wait already.
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Refuses a file that others than root can write, where root is about to follow it for the
    /// running system.
    pub(crate) fn trusted_for(self, target: &Root) -> Result<Self, Failure> {
        if nix::unistd::geteuid().is_root() && is_running_system(target)? {
            let file = self.file.metadata().map_err(|error| Failure::file("read", &self.path, error))?;
            if file.uid() != 0 || file.mode() & 0o022 != 0 {
                return Err(Failure::Untrusted(self.path));
            }
        }
        Ok(self)
    }

    /// Its text.
    pub(crate) fn read(self) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let read = self.file.take(LIMIT + 1).read_to_end(&mut bytes);
        let text = read.and_then(|_| {
            if bytes.len() as u64 > LIMIT {
                return Err(io::Error::other(format!("it has more than the {LIMIT} bytes that are read")));
            }
            String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
        });
        text.map_err(|error| Failure::file("read", &self.path, error))
    }
}

/// Whether this root is the `/` of the process itself, however its path is spelled.
pub(crate) fn is_running_system(root: &Root) -> Result<bool, Failure> {
    let Some(directory) = root.descriptor() else { return Ok(false) };
    let slash = nix::sys::stat::stat("/");
    let here = nix::sys::stat::fstat(directory);
    let (slash, here) = slash
        .and_then(|slash| Ok((slash, here?)))
        .map_err(|errno| Failure::file("look at", Path::new("/"), errno.into()))?;
    Ok((slash.st_dev, slash.st_ino) == (here.st_dev, here.st_ino))
}
