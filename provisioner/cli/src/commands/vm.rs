//! `vm`: the libvirt domain of a virtual machine.

use std::path::Path;
use std::process::{Command, Stdio};

use neuron_passthrough::guest::capabilities::Capabilities;
use neuron_passthrough::provision;

use crate::args::{Common, RenderOptions};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::given::Given;
use crate::report::DomainReport;
use crate::{narrate, render, roots};

/// `vm render`: its XML.
pub(crate) fn render(common: &Common, options: &RenderOptions) -> Result<ExitCode, Failure> {
    let (machine, target) = (roots::machine(common)?, roots::target(common)?);
    let capabilities = capabilities(options.capabilities.as_deref())?;
    let source = roots::source(common, &target)?;
    let domain = provision::domain(&machine, &target, &source, options.name.as_deref(), &capabilities)?;
    if common.json {
        render::json(&DomainReport::from(domain))?;
        return Ok(ExitCode::Done);
    }
    if !common.quiet {
        for note in &domain.notes {
            narrate::line(&format!("note: {}: {}; {}", note.key, note.why, note.hint));
        }
    }
    render::print(&domain.xml)?;
    Ok(ExitCode::Done)
}

/// What libvirt can do: it is asked, unless somebody kept an answer.
fn capabilities(kept: Option<&Path>) -> Result<Capabilities, Failure> {
    if let Some(path) = kept {
        let problem = |problem| Failure::Capabilities { path: path.to_owned(), problem };
        return Capabilities::parse(&Given::open(path)?.read()?).map_err(problem);
    }
    let asked = Command::new("virsh")
        .args(["--connect", "qemu:///system", "domcapabilities", "--machine", "q35"])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Libvirt(format!("virsh cannot be started: {error}")))?;
    if !asked.status.success() {
        return Err(Failure::Libvirt(String::from_utf8_lossy(&asked.stderr).trim().replace('\n', "; ")));
    }
    Capabilities::parse(&String::from_utf8_lossy(&asked.stdout))
        .map_err(|problem| Failure::Libvirt(problem.to_string()))
}
