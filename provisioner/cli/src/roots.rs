//! From options to roots and answers.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::{Capture, Root};

use crate::args::Common;
use crate::failure::Failure;

/// The largest answers file, plan or capture that is read; more is a mistake.
const LIMIT: u64 = 64 << 20;

/// The machine: a directory that stands for "/", or a capture.
pub(crate) fn machine(common: &Common) -> Result<Root, Failure> {
    let path = &common.machine_root;
    if path.is_file() {
        let problem = |problem| Failure::Capture { path: path.clone(), problem };
        return Ok(Root::capture(Capture::parse(&read(path)?).map_err(problem)?));
    }
    directory(path)
}

/// The target: always a directory.
pub(crate) fn target(common: &Common) -> Result<Root, Failure> {
    directory(&common.target_root)
}

fn directory(path: &Path) -> Result<Root, Failure> {
    Root::directory(path).map_err(|error| Failure::file("open", path, error.source))
}

/// Reads a file that an option names.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let fail = |error| Failure::file("read", path, error);
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if size > LIMIT {
        return Err(fail(std::io::Error::other(format!("it has {size} bytes; at most {LIMIT} are read"))));
    }
    std::fs::read_to_string(path).map_err(fail)
}

/// Where the answers come from: `--answers`, then a systemd credential, then the target's file.
pub(crate) fn source(common: &Common) -> Result<Source, Failure> {
    if let Some(path) = &common.answers {
        trusted(common, path)?;
        return Ok(Source::Text { name: path.display().to_string(), text: read(path)? });
    }
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&directory).join("neuron.answers");
        if path.exists() {
            return Ok(Source::Text { name: path.display().to_string(), text: read(&path)? });
        }
    }
    Ok(Source::Target)
}

/// On the running system root follows the answers, so nobody else may be able to write them.
fn trusted(common: &Common, path: &Path) -> Result<(), Failure> {
    let running = common.target_root == Path::new("/");
    let file = std::fs::metadata(path).map_err(|error| Failure::file("read", path, error))?;
    if running && nix::unistd::geteuid().is_root() && (file.uid() != 0 || file.mode() & 0o022 != 0) {
        return Err(Failure::Untrusted(path.to_owned()));
    }
    Ok(())
}

/// The answers themselves.
pub(crate) fn answers(common: &Common) -> Result<Answers, Failure> {
    Ok(provision::answers(&target(common)?, &source(common)?)?)
}

/// Whether a person can be asked.
pub(crate) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
