//! From options to roots and answers.

use std::io::IsTerminal;
use std::path::Path;

use neuron_passthrough::answers::Answers;
use neuron_passthrough::facts::{LibvirtDaemon, libvirt_daemon};
use neuron_passthrough::libvirt::{self, Libvirt};
use neuron_passthrough::provision::{self, Source};
use neuron_passthrough::root::{Capture, Root};

use crate::args::{Common, Connection};
use crate::failure::Failure;
use crate::given::{self, Given};

/// The machine: a directory that stands for "/", or a capture.
pub(crate) fn machine(common: &Common) -> Result<Root, Failure> {
    let path = &common.machine_root;
    if std::fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
        let problem = |problem| Failure::Capture { path: path.clone(), problem };
        return Ok(Root::capture(Capture::parse(&Given::open(path)?.read()?).map_err(problem)?));
    }
    directory(path)
}

/// The target: always a directory. The running system is called "/", so that everybody who asks
/// knows it, however it was spelled.
pub(crate) fn target(common: &Common) -> Result<Root, Failure> {
    let root = directory(&common.target_root)?;
    if given::is_running_system(&root)? { directory(Path::new("/")) } else { Ok(root) }
}

fn directory(path: &Path) -> Result<Root, Failure> {
    Root::directory(path).map_err(|error| Failure::file("open", path, error.source))
}

/// Where the answers come from: `--answers`, then a systemd credential, then the target's file.
pub(crate) fn source(common: &Common, target: &Root) -> Result<Source, Failure> {
    if let Some(path) = &common.answers {
        return text(path, Given::open(path)?, target);
    }
    if let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&directory).join("neuron.answers");
        if let Some(given) = Given::open_if_there(&path)? {
            return text(&path, given, target);
        }
    }
    Ok(Source::Target)
}

fn text(path: &Path, given: Given, target: &Root) -> Result<Source, Failure> {
    let text = given.trusted_for(target)?.read()?;
    Ok(Source::Text { name: path.display().to_string(), text })
}

/// The answers themselves.
pub(crate) fn answers(common: &Common) -> Result<Answers, Failure> {
    let target = target(common)?;
    Ok(provision::answers(&target, &source(common, &target)?)?)
}

/// Whether results and errors reach one person, one below the other.
pub(crate) fn shows_both() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether a person can be asked.
pub(crate) fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The libvirt to ask: the one that is named, the one in which the machine was defined, the system's. That
/// of the running system is not for the domains of another one.
pub(crate) fn libvirt(
    common: &Common,
    connection: &Connection,
    target: &Root,
    name: Option<&str>,
) -> Result<Libvirt, Failure> {
    if let Some(uri) = &connection.connect {
        return Ok(Libvirt::at(uri));
    }
    let mut defined = provision::defined(target)?;
    let at = match name {
        Some(name) => defined.iter().position(|(there, _)| there == name),
        None => (defined.len() == 1).then_some(0),
    };
    let libvirt = at.map_or_else(|| Libvirt::at(libvirt::SYSTEM), |at| defined.swap_remove(at).1);
    if libvirt.uri() == libvirt::SYSTEM && !given::is_running_system(target)? {
        return Err(Failure::OtherSystem(common.target_root.clone()));
    }
    Ok(libvirt)
}

/// The command that starts the libvirt of the running system.
pub(crate) fn how_to_start_libvirt() -> &'static str {
    let daemon = Root::directory(Path::new("/")).ok().and_then(|root| libvirt_daemon(&root).ok());
    daemon.unwrap_or(LibvirtDaemon::Neither).how_to_start()
}
